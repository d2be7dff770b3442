"""What the runs on CamVid day -> dusk share."""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common


def get_config():
  """EfficientNet-Lite0 from ImageNet weights, 2 + 2 crops a step."""
  config = common.run(steps=400)
  config.data = benchmarks.camvid_day_to_dusk()
  config.model = common.efficientnet_lite0()
  config.optim = common.adamw(
    weight_decay=1e-2, clip_norm=5.0, groups=(('decoder', 5.0, 1.0),)
  )
  # The stem and the blocks up to stride 8 keep their ImageNet weights: their
  # maps are large, and without their gradient a step takes a quarter of the
  # time on a CPU.
  config.optim.frozen = ('encoder/(conv_stem|bn0|blocks/[0-4]/)',)
  config.schedule = common.poly(
    learning_rate=1e-3, warmup_steps=50, warmup_ratio=1e-2
  )
  config.teacher = common.no_teacher()
  return config
