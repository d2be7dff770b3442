r"""Source-only training on CamVid -> IDD-Lite: the baseline.

  python -m uda_jax.main --config=camvid_to_idd/source_only \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.source_only(base.BENCHMARK)
