r"""Source-only training on CamVid -> IDD-Lite, with color jitter and blur.

  python -m uda_jax.main --config=camvid_to_idd/source_augmented \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.source_augmented(base.BENCHMARK)
