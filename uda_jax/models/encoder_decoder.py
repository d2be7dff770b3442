"""An encoder and a decoder head, with the names of mmseg's checkpoints.

An encoder is a linen module called as `encoder(image, *, use_running_average,
deterministic)` that returns a tuple of maps, finest first; a head is called as
`head(features, *, use_running_average, deterministic)` and returns logits at
its own resolution and the input of its classifier. Both have a static
`kernel_init(path, noise)`, see `network.KernelInit`; `path` begins below the
part.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any

import flax.linen as nn
import jax

from uda_jax import types
from uda_jax.models import attention
from uda_jax.models import convnext
from uda_jax.models import decode_heads
from uda_jax.models import dinov2
from uda_jax.models import dinov3
from uda_jax.models import encoder_weights
from uda_jax.models import eva02
from uda_jax.models import extra_heads
from uda_jax.models import mix_transformer
from uda_jax.models import network
from uda_jax.models import preprocessing
from uda_jax.models import reference
from uda_jax.models import resnet_v1c
from uda_jax.models import vit_adapter
from uda_jax.models import weights

# Ending of the names of DINOv2's variants under the ViT-Adapter.
ADAPTER = '_adapter'


class EncoderDecoder(nn.Module):
  """An encoder and a decoder head.

  Attributes:
    backbone: the encoder.
    decode_head: the head.
  """

  backbone: nn.Module
  decode_head: nn.Module

  def __call__(
    self,
    image: jax.Array,
    *,
    use_running_average: bool,
    deterministic: bool = True,
    mask: jax.Array | None = None,
  ) -> types.Outputs:
    """Returns logits at the head's resolution, and the encoder's features.

    maps: `fused`, the input of the head's classifier.

    Args:
      image: [B, H, W, C] normalized.
      use_running_average: batch norm's switch.
      deterministic: turns dropout and stochastic depth off.
      mask: what the encoder sees of the image, for encoders that take one.
    """
    switches = dict(
      use_running_average=use_running_average, deterministic=deterministic
    )
    hidden = {} if mask is None else {'mask': mask}
    features = self.backbone(image, **switches, **hidden)
    logits, fused = self.decode_head(features, **switches)
    return types.Outputs(
      logits=logits, features=features, maps={'fused': fused}
    )

  def kernel_init(self, path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the initial value of a kernel, see `network.KernelInit`."""
    return getattr(self, path[0]).kernel_init(path[1:], noise)


def _common(config: types.Config) -> dict[str, Any]:
  """Returns the fields of all encoders but ResNets."""
  return dict(
    drop_path=config.drop_path,
    remat=config.remat,
    dtype=network.compute_dtype(config),
  )


def _mix_transformer(config: types.Config) -> nn.Module:
  variant = mix_transformer.VARIANTS[config.encoder]
  return mix_transformer.MixTransformer(
    variant.widths,
    variant.depths,
    attention_rule=attention.rule(config),
    **_common(config),
  )


def _resnet_v1c(config: types.Config) -> nn.Module:
  return resnet_v1c.ResNetV1c(
    resnet_v1c.VARIANTS[config.encoder],
    remat=config.remat,
    dtype=network.compute_dtype(config),
  )


def _convnext(config: types.Config) -> nn.Module:
  variant = convnext.VARIANTS[config.encoder]
  return convnext.ConvNeXt(
    variant.widths,
    variant.depths,
    **_common(config),
  )


def _dino(config: types.Config) -> nn.Module:
  make, variant = dinov2.DINOv2, dinov2.VARIANTS.get(config.encoder)
  if variant is None:
    make, variant = dinov3.DINOv3, dinov3.VARIANTS[config.encoder]
  return make(
    variant.width,
    variant.depth,
    registers=variant.registers,
    patch=config.get('patch', make.patch),
    **_transformer(config),
  )


def _transformer(config: types.Config) -> dict[str, Any]:
  """Returns the fields of DINO's and EVA-02's, see `dinov2.DINOv2`."""
  return dict(
    enlarge=config.get('enlarge', 0.0),
    final_norm=config.get('final_norm', True),
    mask_token=config.get('mask_token', False),
    num_features=1 if config.head == 'upscale' else dinov2.NUM_FEATURES,
    attention_rule=attention.rule(config),
    **_common(config),
  )


def _eva02(config: types.Config) -> nn.Module:
  variant = eva02.VARIANTS[config.encoder]
  return eva02.EVA02(
    variant.width,
    variant.depth,
    grid=variant.grid,
    sub_norm=variant.sub_norm,
    **_transformer(config),
  )


def _adapter(config: types.Config) -> nn.Module:
  variant = dinov2.VARIANTS[config.encoder.removesuffix(ADAPTER)]
  return vit_adapter.DINOv2Adapter(
    variant.width,
    variant.depth,
    enlarge=config.get('enlarge', 0.0),
    attention_rule=attention.rule(config),
    **_common(config),
  )


# config.model.encoder -> build(config.model) -> encoder
ENCODERS: dict[str, Callable[..., nn.Module]] = {
  **dict.fromkeys(mix_transformer.VARIANTS, _mix_transformer),
  **dict.fromkeys(resnet_v1c.VARIANTS, _resnet_v1c),
  **dict.fromkeys(convnext.VARIANTS, _convnext),
  **dict.fromkeys((*dinov2.VARIANTS, *dinov3.VARIANTS), _dino),
  **dict.fromkeys(eva02.VARIANTS, _eva02),
  # VFM-UDA++'s, which has no register tokens.
  **{
    f'{name}{ADAPTER}': _adapter
    for name, variant in dinov2.VARIANTS.items()
    if not variant.registers
  },
}


def encoder(config: types.Config) -> nn.Module:
  """Returns the encoder that `config.model.encoder` names."""
  return network.named('encoder', config.encoder, ENCODERS)(config)


def build(config: types.Config, num_classes: int) -> types.Network:
  """Builds an encoder and a head from `config.model`.

  Own fields: `encoder` and `head`, names of the tables above; `head_width`
  and `head_dropout`, `fusion` (head 'daformer' only), see `DAFormerHead`, or
  `dilations`, see `DLV2Head`; `remat` (recompute each block in the backward
  pass); `drop_path` (rate of stochastic depth) of all but ResNets; of
  transformers, `attention`, see `attention.rule`; of DINO's and
  EVA-02's, `enlarge`, `mask_token` and `final_norm`, of DINO's `patch`, see
  `dinov2.DINOv2` (as the released networks have it where the config has no such
  field); `heads`, see `extra_heads.build`; `reference`, see `reference.build`.
  `weights` is '' or a file, see `encoder_weights.choose`.
  """
  module = EncoderDecoder(
    encoder(config), decode_heads.head(config, num_classes)
  )
  made = network.from_module(
    module,
    pixels(config),
    kernel_init=module.kernel_init,
    heads=extra_heads.build(config),
    mask_size=mask_size(module.backbone),
  )
  return made._replace(reference=reference.build(config))


def preprocessing_name(config: types.Config) -> str:
  """Returns the name of the preprocessing of the encoder's files."""
  return 'CLIP' if config.encoder in eva02.VARIANTS else 'IMAGENET'


def pixels(config: types.Config) -> preprocessing.Preprocessing:
  """Returns the preprocessing of `config.model`."""
  found = getattr(preprocessing, preprocessing_name(config))
  if found is not preprocessing.IMAGENET and config.get('reference'):
    raise ValueError(
      'config.model.reference: expected no frozen DINOv2, whose pixels are '
      f'those of ImageNet, beside the encoder {config.encoder!r}, which has '
      f'others ({preprocessing_name(config)}); config.method.weight_distance=0 '
      'with no reference, or an encoder of DINO'
    )
  return found.configured(config)


def mask_size(
  backbone: nn.Module,
) -> Callable[[tuple[int, int]], tuple[int, int]] | None:
  """Returns `Network.mask_size` of an encoder, None if it takes no mask."""
  size = getattr(backbone, 'mask_size', None)
  return size if size and size((dinov2.PATCH,) * 2) else None


def importer(config: types.Config) -> weights.Importer | None:
  """Returns the importer of `config.model.weights`, None for ''."""
  if not config.weights:
    return None
  # `extra_heads.build` raises for unknown ones.
  names = {row[0] for row in config.heads}
  heads = {key for name, (key, _) in extra_heads.HEADS.items() if name in names}
  return weights.Importer(
    config.weights,
    preprocessing_name(config),
    functools.partial(
      encoder_weights.choose,
      heads=frozenset(heads),
      mask_token=bool(config.get('mask_token', False)),
      adapter=config.encoder.endswith(ADAPTER),
    ),
  )
