"""Whole published runs of the DAFormer family, for any pair of data sets.

DAFormer (arXiv 2111.14887) and HRDA (arXiv 2204.13132): 40,000 steps of 2 + 2
crops, MiT-B5 from ImageNet; the student is evaluated, at the last step.
"""

import ml_collections

from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import hrda as hrda_fields

ConfigDict = ml_collections.ConfigDict

# Converted or original, see docs/weights.md.
MIT_B5 = 'pretrained/mit_b5.pth'


def _family(data: ConfigDict, *, min_crop_ratio: float) -> ConfigDict:
  config = common.run(steps=40000)
  config.data = data
  config.data.keep_ratio = True
  config.data.max_class_share = 0.75
  config.data.rare_class.update(
    temperature=0.01, min_pixels=3000, min_crop_ratio=min_crop_ratio
  )
  config.model = common.daformer_network(weights=MIT_B5)
  config.optim = common.daformer_adamw()
  config.schedule = common.daformer_schedule()
  config.teacher = common.teacher(decay=0.999)
  config.method = common.daformer()
  config.checkpoint.every = 4000
  return config


def daformer(
  data: ConfigDict, *, margins: tuple[int, int, int, int]
) -> ConfigDict:
  """DAFormer on crops of 512.

  Args:
    data: block of `configs.benchmarks` with its sizes.
    margins: (top, bottom, left, right) of the target that is never trusted.
  """
  config = _family(data, min_crop_ratio=0.5)
  config.data.update(crop_size=(512, 512), margins=margins)
  return config


def hrda(data: ConfigDict, *, margins: tuple[int, int, int, int]) -> ConfigDict:
  """HRDA on crops of 1024 with detail crops of 512; arguments as above."""
  config = _family(data, min_crop_ratio=2.0)
  config.data.update(crop_size=(1024, 1024), margins=margins)
  detail_crop = (512, 512)
  config.model = hrda_fields.network(config.model, detail_crop=detail_crop)
  config.method = hrda_fields.method(config.method, detail_crop=detail_crop)
  config.eval.window, config.eval.stride = (1024, 1024), (512, 512)
  return config
