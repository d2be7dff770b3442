r"""LSE on CamVid -> IDD-Lite: rounds on enlarged windows of sure images.

  python -m uda_jax.main \
      --config=configs/camvid_to_idd/lse.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import lse
from uda_jax.configs.camvid_to_idd import base


def get_config():
  """See the module's docstring."""
  return lse.small(
    base.get_config(), adapt_from=600, window=(114, 160), divisor=7
  )
