r"""VFM-UDA on DINOv2-L, all synthetic sets -> all real sets.

No published number.
The sets and their shares are this project's reading: each image of all sets is
as likely as any other.

  python -m uda_jax.main --config=synthetic_to_real/vfm_uda \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.synthetic_to_real import base


def get_config():
  return published_foundation.vfm_uda(base.FOUNDATION)
