"""DeepLab-v2 on ResNet-101 in PyTorch: the layers of `uda_jax.models`' own.

Its state dict has the names of the released checkpoints, so that the weights of
either network fit the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

_BLOCKS = (3, 4, 23, 3)
_WIDTHS = (64, 128, 256, 512)
_STRIDES = (1, 2, 1, 1)
_DILATIONS = (1, 1, 2, 4)
_HEAD_DILATIONS = (6, 12, 18, 24)
# Of the four, as released.
_USED = 2


class _Bottleneck(nn.Module):
  """Three convolutions beside an identity; the stride is on the first."""

  def __init__(self, inputs: int, width: int, stride: int, dilation: int):
    super().__init__()
    self.conv1 = nn.Conv2d(inputs, width, 1, stride, bias=False)
    self.bn1 = nn.BatchNorm2d(width)
    self.conv2 = nn.Conv2d(
      width, width, 3, padding=dilation, dilation=dilation, bias=False
    )
    self.bn2 = nn.BatchNorm2d(width)
    self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
    self.bn3 = nn.BatchNorm2d(4 * width)
    self.downsample = None
    if stride > 1 or inputs != 4 * width:
      self.downsample = nn.Sequential(
        nn.Conv2d(inputs, 4 * width, 1, stride, bias=False),
        nn.BatchNorm2d(4 * width),
      )

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    y = F.relu(self.bn1(self.conv1(x)))
    y = F.relu(self.bn2(self.conv2(y)))
    y = self.bn3(self.conv3(y))
    return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class _Head(nn.Module):
  """Dilated convolutions, the first two of four summed."""

  def __init__(self, inputs: int, num_classes: int):
    super().__init__()
    self.conv2d_list = nn.ModuleList(
      nn.Conv2d(inputs, num_classes, 3, padding=d, dilation=d)
      for d in _HEAD_DILATIONS
    )

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return sum(conv(x) for conv in self.conv2d_list[:_USED])


class DeepLabV2(nn.Module):
  """The network without its auxiliary head."""

  def __init__(self, num_classes: int):
    """Makes random layers for logits of `num_classes`."""
    super().__init__()
    self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    self.bn1 = nn.BatchNorm2d(64)
    inputs = 64
    for i, (blocks, width) in enumerate(zip(_BLOCKS, _WIDTHS)):
      stage = []
      for block in range(blocks):
        stride = 1 if block else _STRIDES[i]
        stage.append(_Bottleneck(inputs, width, stride, _DILATIONS[i]))
        inputs = 4 * width
      setattr(self, f'layer{i + 1}', nn.Sequential(*stage))
    self.layer5 = _Head(inputs, num_classes)

  def forward(self, image: torch.Tensor) -> torch.Tensor:
    """Returns logits [B, C, h, w] of images [B, 3, H, W], stride 8."""
    x = F.relu(self.bn1(self.conv1(image)))
    x = F.max_pool2d(x, 3, 2, 1, ceil_mode=True)
    for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
      x = stage(x)
    return self.layer5(x)


def label(logits: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
  """Returns the classes [B, *size] of logits [B, C, h, w]."""
  large = F.interpolate(
    logits, tuple(size), mode='bilinear', align_corners=True
  )
  return large.argmax(1)
