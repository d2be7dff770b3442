"""FCN-8s on VGG-16, as LSE uses it (arXiv 1411.4038 on arXiv 1409.1556).

The first convolution pads by 100 pixels, so that the unpadded 7x7 of `fc6`
fits images of any size; crops then cut the maps back to size. Poolings round
up and there is no batch norm. Modules have the names of the released PyTorch
checkpoints. The transposed convolutions start as bilinear enlargement; that
LSE never trains them is set by the optimizer (`config.optim.frozen`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import types
from uda_jax.models import layers
from uda_jax.models import network
from uda_jax.models import pooling
from uda_jax.models import preprocessing
from uda_jax.models import weights
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import state_dict

# 3x3 convolutions before each of the five poolings.
CONVOLUTIONS = (2, 2, 3, 3, 3)
PADDING = 100
# First row and column of the crops, and factors of the pooled maps before
# their classifiers.
OFFSET_POOL4, SCALE_POOL4 = 5, 0.01
OFFSET_POOL3, SCALE_POOL3 = 9, 0.0001
OFFSET_LOGITS = 31

# Prefixes of the modules that VGG-16 does not have.
OWN = ('score', 'upscore')

PREPROCESSING = {
  'CAFFE': preprocessing.CAFFE,
  'IMAGENET': preprocessing.IMAGENET,
}


def bilinear_kernel(size: int, channels: int) -> np.ndarray:
  """Returns the kernel of a transposed convolution for bilinear upsampling.

  Each channel is upsampled alone, by half of `size` if `size` is even (FCN,
  arXiv 1411.4038, section 3.3).

  Args:
    size: side of the kernel.
    channels: of the input and of the output.

  Returns:
    [size, size, channels, channels] float64.
  """
  factor = (size + 1) // 2
  center = factor - 1 if size % 2 else factor - 0.5
  line = 1 - np.abs(np.arange(size) - center) / factor
  return np.einsum('i,j,cd->ijcd', line, line, np.eye(channels))


class TransposedConv(nn.Module):
  """A transposed convolution whose kernel is twice its stride in size.

  Without bias and padding: a side of n becomes one of (n + 1) * stride. The
  kernel is [k, k, out, in], so that PyTorch's layout is its transpose, as for
  all kernels.
  """

  features: int
  stride: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    step, size = self.stride, 2 * self.stride
    kernel = self.param(
      'kernel',
      nn.initializers.zeros,
      (size, size, self.features, x.shape[-1]),
      layers.storage_dtype(self.dtype),
    ).astype(self.dtype)
    # Every stride x stride block of the output sees 2x2 pixels: a convolution
    # whose channels are the places in a block multiplies by no zeros, which
    # that of the dilated input mostly does.
    kernel = kernel.reshape(2, step, 2, step, *kernel.shape[2:])
    kernel = kernel[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4)
    blocks = jax.lax.conv_general_dilated(
      x.astype(self.dtype),
      kernel.reshape(2, 2, x.shape[-1], -1),
      (1, 1),
      [(1, 1), (1, 1)],
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    batch, height, width, _ = blocks.shape
    blocks = blocks.reshape(batch, height, width, step, step, self.features)
    blocks = blocks.transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(batch, height * step, width * step, self.features)


class FCN8sVGG(nn.Module):
  """FCN-8s on VGG-16.

  Attributes:
    num_classes: classes of the logits.
    widths: channels of the five stages.
    fc_width: channels of `fc6` and `fc7`.
    dropout: fraction of channels dropped after each of these two.
    dtype: compute dtype.
  """

  num_classes: int
  widths: Sequence[int] = (64, 128, 256, 512, 512)
  fc_width: int = 4096
  dropout: float = 0.5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    image: jax.Array,
    *,
    use_running_average: bool,
    deterministic: bool = True,
  ) -> types.Outputs:
    """Returns logits at the size of the image.

    Args:
      image: [B, H, W, C] normalized, any size.
      use_running_average: unused, there is no batch norm.
      deterministic: turns dropout off.

    Returns:
      logits [B, H, W, C]; features, the five pooled maps of the padded image,
      which lie some 100 pixels off the image's own grid.
    """
    del use_running_average
    features = self._encode(image)
    x = features[-1]
    for name, size in (('fc6', 7), ('fc7', 1)):
      x = nn.relu(self._conv(self.fc_width, size, name, padding=0)(x))
      x = nn.Dropout(self.dropout, broadcast_dims=(1, 2))(
        x, deterministic=deterministic
      )
    x = self._enlarge(self._score(x, 'score_fr'), 2, 'upscore2')
    pool4 = self._score(SCALE_POOL4 * features[3], 'score_pool4')
    x = x + _crop(pool4, OFFSET_POOL4, x.shape[1:3])
    x = self._enlarge(x, 2, 'upscore_pool4')
    pool3 = self._score(SCALE_POOL3 * features[2], 'score_pool3')
    x = x + _crop(pool3, OFFSET_POOL3, x.shape[1:3])
    x = self._enlarge(x, 8, 'upscore8')
    logits = _crop(x, OFFSET_LOGITS, image.shape[1:3])
    return types.Outputs(
      logits=logits.astype(layers.storage_dtype(self.dtype)),
      features=tuple(features),
    )

  def _encode(self, x: jax.Array) -> list[jax.Array]:
    features = []
    for i, width in enumerate(self.widths, 1):
      for j in range(1, CONVOLUTIONS[i - 1] + 1):
        padding = PADDING if i == j == 1 else None
        conv = self._conv(width, 3, f'conv{i}_{j}', padding=padding)
        x = nn.relu(conv(x))
      x = pooling.max_pool(x, size=2, stride=2, padding=0, ceil=True)
      features.append(x)
    return features

  def _conv(
    self, features: int, size: int, name: str, padding: int | None
  ) -> layers.Conv:
    return layers.Conv(
      features,
      size,
      use_bias=True,
      dtype=self.dtype,
      padding=padding,
      name=name,
    )

  def _score(self, x: jax.Array, name: str) -> jax.Array:
    return self._conv(self.num_classes, 1, name, padding=0)(x)

  def _enlarge(self, x: jax.Array, stride: int, name: str) -> jax.Array:
    return TransposedConv(self.num_classes, stride, self.dtype, name=name)(x)


def _crop(x: jax.Array, offset: int, size: tuple[int, ...]) -> jax.Array:
  return x[:, offset : offset + size[0], offset : offset + size[1]]


def initial_kernel(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
  """Returns the initial value of a kernel, see `network.KernelInit`.

  Bilinear upsampling as released, 0 for the classifiers as in FCN, He's
  initialization for all others. (The released code has 0 for those, from which
  training cannot start; it always loads a file.)

  Args:
    path: of the kernel in the network's parameters.
    noise: standard normal, in the shape of the kernel.
  """
  if path[0].startswith('upscore'):
    size, _, channels, _ = noise.shape
    return jnp.asarray(bilinear_kernel(size, channels), noise.dtype)
  if path[0].startswith('score'):
    return jnp.zeros_like(noise)
  return network.he(path, noise)


def build(config: types.Config, num_classes: int) -> types.Network:
  """Builds FCN-8s from `config.model`.

  Own fields: `widths`, `fc_width`, `dropout`, see `FCN8sVGG`; `preprocessing`,
  'CAFFE' (the released weights) or 'IMAGENET' (torchvision's VGG-16).
  `weights` is '' or a file, see `choose`.
  """
  if config.preprocessing not in PREPROCESSING:
    raise ValueError(
      f'config.model.preprocessing: got {config.preprocessing!r}, expected '
      f'one of {sorted(PREPROCESSING)}.'
    )
  module = FCN8sVGG(
    num_classes=num_classes,
    widths=tuple(config.widths),
    fc_width=config.fc_width,
    dropout=config.dropout,
    dtype=network.compute_dtype(config),
  )
  return network.from_module(
    module,
    PREPROCESSING[config.preprocessing].configured(config),
    kernel_init=initial_kernel,
  )


def importer(config: types.Config) -> weights.Importer | None:
  """Returns the importer of `config.model.weights`, None for ''."""
  if not config.weights:
    return None
  return weights.Importer(config.weights, config.preprocessing, choose)


def choose(
  tensors: weights.Tensors,
) -> tuple[weights.Tensors, state_dict.NameOf]:
  """Returns the tensors of a file that belong to the network.

  Two kinds of files are known: a whole FCN-8s as LSE released it, and
  torchvision's VGG-16, whose last layer is left out and whose first two dense
  layers become `fc6` and `fc7`, see `key_maps`.
  """
  used = key_maps.canonical(tensors).tensors
  if not any(name.startswith(OWN) for name in used):
    return used, _vgg_name
  return used, state_dict.dotted


def _vgg_name(path: tuple[str, ...]) -> str | None:
  return None if path[0].startswith(OWN) else state_dict.dotted(path)
