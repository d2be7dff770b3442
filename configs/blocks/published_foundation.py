"""Recipes of the published runs on foundation encoders: VFM-UDA, VFM-UDA++.

The released code of both (tue-mps, 2025). 40,000 steps of 8 + 8 crops from
DINOv2's weights on four cards: what a step takes over its batch it takes over
the 2 + 2 images of a card. The student is evaluated, at the last step.

A config names a recipe, `published_foundation.vfm_uda(base.FOUNDATION)`; the
numbers in which the benchmarks differ are in `base.py` of their folders.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import ml_collections

from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import networks
from uda_jax.configs.blocks import starts
from uda_jax.configs.blocks import vfm

ConfigDict = ml_collections.ConfigDict

# Images of each domain on a card, and cards.
GROUP_SIZE, GROUPS = 2, 4
# Of an image of each domain; times the root of the number of images.
LEARNING_RATE = 5e-5
CROP = 1024


class Benchmark(NamedTuple):
  """Numbers that differ between the benchmarks.

  Attributes:
    data: returns the block `data` of given sizes.
    source_side: shorter side of the source's images before the random scale.
    label_size: (height, width) of the labels that scores are taken on: those of
      images whose shorter side is 1024.
    subsets: further means of the evaluation: name -> classes.
  """

  data: Callable[..., ConfigDict]
  source_side: int = CROP
  label_size: tuple[int, int] = (0, 0)
  subsets: Mapping[str, tuple[int, ...]] = {}


def _data(benchmark: Benchmark) -> ConfigDict:
  """Crops of 1024 of images that are resized by their shorter side."""
  data = benchmark.data(
    source_image_size=(benchmark.source_side, 0),
    target_image_size=(CROP, 0),
    eval_image_size=(CROP, 0),
    resize='pillow_bilinear',
    crop_size=(CROP, CROP),
    scale_range=(0.9, 1.1),
    pad=True,
    # The method mirrors images, on the device.
    flip=False,
    max_class_share=0.75,
    margins=(0.03, 0.25, 0.03, 0.03),
  )
  # Released code: more than 3000 * 1024^2 / (512 * 1024) pixels of the class.
  data.rare_class.update(temperature=0.05, min_pixels=3000, min_crop_ratio=2.0)
  return data


def _run(benchmark: Benchmark) -> ConfigDict:
  """Length, batch, data, optimizer, schedule and evaluation of both."""
  config = common.run(steps=40_000, groups=GROUPS, group_size=GROUP_SIZE)
  config.batch.scale_learning_rate = 'sqrt'
  config.data = _data(benchmark)
  config.optim = vfm.optim(layer_decay=1.0)
  config.schedule = vfm.schedule(
    learning_rate=vfm.group_rate(LEARNING_RATE, group_size=GROUP_SIZE)
  )
  config.teacher = common.teacher(decay=0.999)
  config.checkpoint.every = 4000
  config.eval.update(
    window=(CROP, CROP),
    stride=(CROP // 2, CROP // 2),
    batch_size=1,
    enlarge='logits_of_windows',
    label_size=benchmark.label_size,
  )
  config.eval.subsets.update(benchmark.subsets)
  return config


def _network(*, size: str, adapter: bool) -> ConfigDict:
  """DINOv2 and a head; `size`: 's', 'b' or 'l'."""
  file = f'dinov2_vit{size}14_pretrain.pth'
  model = networks.dinov2(
    size=f'{size}_adapter' if adapter else size, weights=f'pretrained/{file}'
  )
  model.update(
    head='pyramid' if adapter else 'upscale',
    starts_from=starts.dinov2(file),
    enlarge=vfm.ENLARGE,
    # The authors ran in float16, with float32 parameters.
    dtype='bfloat16',
    remat=True,
  )
  return model


def vfm_uda(benchmark: Benchmark, *, size: str = 'l') -> ConfigDict:
  """VFM-UDA: self-training of DINOv2 with hidden tokens; `size` as above."""
  config = _run(benchmark)
  config.model = _network(size=size, adapter=False)
  config.model.mask_token = True
  config.method = vfm.method()
  return config


def vfm_uda_pp(
  benchmark: Benchmark,
  *,
  size: str = 'l',
  learning_rate: float = LEARNING_RATE,
) -> ConfigDict:
  """VFM-UDA++: a ViT-Adapter, hidden blocks, features near frozen ones.

  Args:
    benchmark: its numbers.
    size: as of `_network`.
    learning_rate: of an image of each domain, times the root of their number.
  """
  config = _run(benchmark)
  config.model = _network(size=size, adapter=True)
  config.model.heads = (('feature_head', 'coarsest', 1024),)
  config.model.reference = vfm.reference(
    'pretrained/dinov2_vitl14_reg4_pretrain.pth'
  )
  config.optim = vfm.optim_pp()
  config.schedule.learning_rate = vfm.group_rate(
    learning_rate, group_size=GROUP_SIZE
  )
  config.method = vfm.method_pp()
  return config
