"""Config of a run of seconds: scenes of 32 x 64 pixels, compact network.

Like any config it works with

  python -m uda_jax.main --config=tests/small_config.py --workdir=DIR
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  """Self-training on a handful of tiny scenes."""
  config = laptop.base(base.BENCHMARK)
  config.steps = 24
  for name, count in (('source', 8), ('target', 8), ('evaluation', 4)):
    config.data[name].num_images = count
    config.data[name].image_size = (32, 64)
  config.data.crop_size = (32, 64)
  config.schedule.warmup_steps = 2
  config.method = common.self_training(threshold=0.5)
  config.teacher = common.teacher(decay=0.9)
  config.eval.network = 'teacher'
  config.checkpoint.every = 4
  config.log.every = 1
  config.log.seconds = 0.0
  config.log.panels_every = 12
  return config
