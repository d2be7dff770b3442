"""HRDA: context from the whole image, detail from crops, fused by attention.

HRDA (arXiv 2204.13132): the whole image at half size gives context, crops at
full size give detail; a learned attention fuses the logits of both scales.
Encoder and head are shared. CLUDA (arXiv 2208.14227) adds a weight of features
and fuses in another order. Modules have the names of the released PyTorch
checkpoints.

The argument `detail` of a forward pass:
  None: sliding windows over the whole image (teachers, evaluation);
  a box [4], or one per image [B, 4], (top, bottom, left, right), as from
    `boxes.draw_box` (training);
  `boxes.MAX_ENTROPY`: each image's window of highest entropy (CLUDA).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax import types
from uda_jax.models import hrda_entropy
from uda_jax.ops import boxes as boxes_lib
from uda_jax.ops import resize

ORDERS = ('product_then_up', 'up_then_product')


def fuse(
  context: jax.Array, detail: jax.Array, attention: jax.Array, *, order: str
) -> tuple[jax.Array, jax.Array]:
  """Fuses the logits of the two scales (HRDA, equation 9).

  Args:
    context: [B, h, w, C] float logits of the coarse image.
    detail: [B, H, W, C] float logits of the crops, 0 outside of them.
    attention: [B, h, w, C or 1] float in [0, 1], 0 outside the crops.
    order: 'product_then_up' (HRDA) enlarges (1 - attention) * context,
      'up_then_product' (CLUDA) each factor; they differ where attention does
      between neighbors.

  Returns:
    The fused logits [B, H, W, C], and the context logits as the losses see
    them: times 1 - attention in HRDA, as they were in CLUDA.
  """
  size = detail.shape[1:3]
  upper = resize.bilinear(attention, size)
  if order == 'product_then_up':
    context = (1 - attention) * context
    return upper * detail + resize.bilinear(context, size), context
  rest = (1 - upper) * resize.bilinear(context, size)
  return upper * detail + rest, context


class TwoScaleHead(nn.Module):
  """Container of the heads, which gives them their names.

  Attributes:
    head: of both scales.
    scale_attention: logits of the attention; None with a fixed one.
    feat_weighter: logits of CLUDA's weight of features, or None.
  """

  head: nn.Module
  scale_attention: nn.Module | None = None
  feat_weighter: nn.Module | None = None


class Detail(NamedTuple):
  """The crops' part of a forward pass.

  Attributes:
    logits: [B, H, W, C] at the output stride, 0 outside the crops.
    mask: [B or 1, h, w, 1], 1 where the context's map lies in a crop.
    maps: more, for training only.
  """

  logits: jax.Array
  mask: jax.Array
  maps: dict[str, Any]


class HRDA(nn.Module):
  """HRDA: context logits and detail logits, fused by an attention.

  Attributes:
    backbone: the encoder.
    decode_head: the heads.
    detail_crop: (height, width) of the detail crops.
    detail_stride: steps of the sliding windows, down and right.
    context_scale: size of the context's image over that of the image.
    order: see `fuse`.
    fixed_attention: the attention where there is no head for it.
    entropy_rule: see `hrda_entropy.max_entropy_boxes`.
    remat: recomputes the heads in the backward pass instead of keeping their
      activations; the encoder has a field of its own.
  """

  backbone: nn.Module
  decode_head: TwoScaleHead
  detail_crop: tuple[int, int]
  detail_stride: tuple[int, int]
  context_scale: float = 0.5
  order: str = 'product_then_up'
  fixed_attention: float = 0.5
  entropy_rule: str = 'clean'
  remat: bool = True

  def __call__(
    self,
    image: jax.Array,
    *,
    use_running_average: bool,
    deterministic: bool = True,
    detail: jax.Array | str | None = None,
  ) -> types.Outputs:
    """Returns the fused logits and the context's features.

    Args:
      image: [B, H, W, C] normalized. With boxes, H, W and the crops must be
        multiples of the context's stride, 8 for an encoder of stride 4.
      use_running_average: batch norm's switch.
      deterministic: turns dropout and stochastic depth off.
      detail: see the module's docstring.

    Returns:
      `logits` at the head's stride, `features` of the context. maps:
      `context` logits (see `fuse`) and `attention` at the context's stride;
      with boxes, also the maps of `_boxed`. `boxes`: the detail boxes, or None.
    """
    switches = dict(
      use_running_average=use_running_average, deterministic=deterministic
    )
    size = image.shape[1:3]
    features = self.backbone(
      resize.bilinear_by_factor(image, self.context_scale), **switches
    )
    if isinstance(detail, str):
      detail = self._max_entropy(features, size, detail, switches)
    context, fused = self._decode(self.decode_head.head, features, switches)
    if detail is None:
      found = self._sliding(image, switches)
    else:
      found = self._boxed(image, detail, context.shape[1:3], switches)
    attention = self._attention(features, context, switches) * found.mask
    logits, context = fuse(context, found.logits, attention, order=self.order)
    maps = {'context': context, 'attention': attention}
    maps |= found.maps
    if detail is not None or self.is_initializing():
      maps |= self._contrast(features, fused, found.logits.shape[1:3], switches)
    return types.Outputs(
      logits=logits,
      features=features,
      maps=maps,
      boxes=detail,
    )

  def _decode(
    self, head: nn.Module, features: Sequence[jax.Array], switches
  ) -> tuple[jax.Array, jax.Array]:
    """Returns a head's logits and the fused map that they are made of."""
    decode = lambda head, features: head(features, **switches)
    if self.remat:
      decode = nn.remat(decode)
    return decode(head, features)

  def _attention(self, features, context, switches) -> jax.Array:
    head = self.decode_head.scale_attention
    if head is None:
      return jnp.full_like(context, self.fixed_attention)
    return jax.nn.sigmoid(self._decode(head, features, switches)[0])

  def _sliding(self, image: jax.Array, switches) -> Detail:
    """Returns the logits of all windows; the mean where windows overlap."""
    boxes = boxes_lib.sliding_boxes(
      image.shape[1:3], self.detail_crop, self.detail_stride
    )
    # One batch, window-major: batch norm may take its statistics over it.
    windows = boxes_lib.stack(image, boxes)
    features = self.backbone(windows, **switches)
    logits, _ = self._decode(self.decode_head.head, features, switches)
    boxes = boxes // _stride(windows, logits)
    size = boxes[-1, ::2] + logits.shape[1:3]
    logits = boxes_lib.average(logits, boxes, tuple(size))
    return Detail(logits, jnp.ones((1, 1, 1, 1), logits.dtype), {})

  def _boxed(
    self, image: jax.Array, box: jax.Array, context_size, switches
  ) -> Detail:
    """Returns the logits of the boxes at their positions in the image.

    maps: `detail` logits and `detail_features` of the crops, `crop_mask`
    [B, h, w, 1] on the context's grid, `fused_hr` [B, H, W, D] the head's
    fused map at its place in zeros.
    """
    crop = boxes_lib.cut(image, box, self.detail_crop)
    features = self.backbone(crop, **switches)
    logits, fused = self._decode(self.decode_head.head, features, switches)
    stride = _stride(crop, logits)
    context_stride = round(stride / self.context_scale)
    size = image.shape[1:3]
    if abs(context_stride * self.context_scale - stride) > 1e-6:
      raise ValueError(
        f'config.model.context_scale: expected {stride} divided by a whole '
        f'number, as the network has a stride of {stride}, got '
        f'{self.context_scale}; 0.5 is published'
      )
    if any(n % context_stride for n in (*size, *self.detail_crop)):
      raise ValueError(
        'config.model.detail_crop: expected a crop and an image whose sides '
        f'are multiples of {context_stride}, got {self.detail_crop} '
        f'in {size}.'
      )
    full = tuple(n // stride for n in size)
    mask = boxes_lib.inside(box // context_stride, context_size)
    mask = mask.astype(logits.dtype)
    maps = {
      'detail': logits,
      'detail_features': features,
      'crop_mask': jnp.broadcast_to(mask, (len(image), *mask.shape[1:])),
      'fused_hr': boxes_lib.paste(fused, box // stride, full),
    }
    return Detail(boxes_lib.paste(logits, box // stride, full), mask, maps)

  def _contrast(self, features, fused, size, switches) -> dict[str, jax.Array]:
    """CLUDA's maps at the output's size: the context's fused map, a weight."""
    maps = {'fused_lr': resize.bilinear(fused, size, align_corners=True)}
    head = self.decode_head.feat_weighter
    if head is not None:
      logits, _ = self._decode(head, features, switches)
      weight = resize.bilinear(jax.nn.sigmoid(logits), size)
      maps['feature_weight'] = weight
    return maps

  def _max_entropy(self, features, size, request: str, switches) -> jax.Array:
    """Chooses boxes by a further pass of the head, without gradient."""
    if request != boxes_lib.MAX_ENTROPY:
      raise ValueError(
        f'detail: expected None, boxes or {boxes_lib.MAX_ENTROPY!r}, got '
        f'{request!r}'
      )
    features = jax.lax.stop_gradient(features)
    logits, _ = self._decode(self.decode_head.head, features, switches)
    return hrda_entropy.max_entropy_boxes(
      jax.lax.stop_gradient(logits),
      size,
      self.detail_crop,
      stride=self.detail_stride,
      rule=self.entropy_rule,
    )

  def kernel_init(self, path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the initial value of a kernel, see `network.KernelInit`."""
    if path[0] == 'backbone':
      return self.backbone.kernel_init(path[1:], noise)
    return getattr(self.decode_head, path[1]).kernel_init(path[2:], noise)


def _stride(image: jax.Array, logits: jax.Array) -> int:
  """Returns the pixels of an image under one of its logits' pixels."""
  return -(-image.shape[1] // logits.shape[1])
