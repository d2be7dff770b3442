"""What the runs on rendered streets share."""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common


def get_config():
  """The compact network from scratch, 1000 steps of 2 + 2 images."""
  config = common.run(steps=1000)
  config.data = benchmarks.streets()
  config.model = common.compact()
  config.optim = common.adamw(weight_decay=1e-4, clip_norm=5.0)
  config.schedule = common.cosine(learning_rate=1e-2, warmup_steps=20)
  config.teacher = common.no_teacher()
  return config
