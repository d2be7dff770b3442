"""Recipes from no paper: additions to self-training on a foundation encoder.

DAFormer's data, crops and self-training on DINOv2-B, or another encoder, under
DAFormer's head, with VFM-UDA's optimizer; without the distance to ImageNet
features. Each addition is as on DAFormer, for crops of 512.
"""

import ml_collections

from uda_jax.configs.blocks import additions
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import networks
from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.blocks import starts
from uda_jax.configs.blocks import vfm

ConfigDict = ml_collections.ConfigDict

FILE = 'dinov2_vitb14_pretrain.pth'
# Addition -> fields of its block.
FIELDS = {
  'pixel_contrast': {},
  'patch_contrast': dict(features='fused'),
  'cluda_contrast': {},
  # MIC: 32 for crops of 512.
  'masking': dict(block_size=32),
}
PIPA = ('pixel_contrast', 'patch_contrast')
CLUDA = ('cluda_contrast',)
MIC = ('masking',)


def dinov2(
  benchmark: published_transformers.Benchmark, *added: str
) -> ConfigDict:
  """Self-training of DINOv2-B with additions; arguments as of `on`."""
  model = networks.dinov2(size='b', weights=f'pretrained/{FILE}')
  model.starts_from = starts.dinov2(FILE)
  config = on(model, benchmark, *added)
  if 'patch_contrast' in added:
    # Cells of PiPa's crops are pairs of patches, 28 pixels, instead of 8; as on
    # DAFormer a tenth of those of two crops is drawn.
    config.data.pair.update(crop_size=(728, 728), stride=28)
    config.method.patch_contrast.samples = 2 * (728 // 28) ** 2 // 10
  return config


def dinov3_convnext(
  benchmark: published_transformers.Benchmark, *added: str, size: str = 'base'
) -> ConfigDict:
  """Self-training of DINOv3's ConvNeXt with additions; `size`: of its files."""
  model = networks.convnext(
    encoder=f'dinov3_convnext_{size}',
    weights=f'pretrained/dinov3-convnext-{size}.safetensors',
  )
  model.starts_from = starts.dinov3_convnext(size)
  return on(model, benchmark, *added)


def eva02(
  benchmark: published_transformers.Benchmark, *added: str
) -> ConfigDict:
  """Self-training of EVA-02-B, pre-trained by masked images, with additions."""
  name = 'eva02_base_patch14_224.mim_in22k'
  model = networks.eva02(size='base', weights=f'pretrained/{name}.safetensors')
  model.starts_from = starts.eva02(name)
  return on(model, benchmark, *added)


def on(
  model: ConfigDict, benchmark: published_transformers.Benchmark, *added: str
) -> ConfigDict:
  """Self-training of a network with additions.

  Args:
    model: the network, with weights.
    benchmark: its numbers.
    *added: names of additions, in this order.
  """
  config = published_transformers.daformer(benchmark)
  config.model = model
  config.model.matmul_precision = 'highest'
  config.optim = vfm.optim(layer_decay=1.0)
  config.schedule = vfm.schedule(
    learning_rate=vfm.group_rate(
      published_foundation.LEARNING_RATE, group_size=2
    )
  )
  config.method = additions.added(
    common.self_training(threshold=0.968), **{n: FIELDS[n] for n in added}
  )
  if 'masking' in added:
    config.method.masking.images = benchmark.masked_images
  if 'patch_contrast' in added:
    config.model.heads = (('proj', 'features', 256), ('project', 'fused', 128))
    # The student sees four further crops in each step.
    config.model.remat = True
    config = published_transformers.paired(config, group_size=2)
  return config
