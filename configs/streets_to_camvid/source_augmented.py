r"""Source-only training on streets -> CamVid, with color jitter and blur.

  python -m uda_jax.main --config=streets_to_camvid/source_augmented \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.source_augmented(base.BENCHMARK)
