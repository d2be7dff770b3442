r"""Source-only training on CamVid day -> dusk, with color jitter and blur.

  python -m uda_jax.main --config=camvid_day_to_dusk/source_augmented \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.source_augmented(base.BENCHMARK)
