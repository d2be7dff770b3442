r"""LSE on CamVid -> IDD-Lite: rounds on enlarged windows of sure images.

  python -m uda_jax.main \
      --config=configs/camvid_to_idd/lse.py \
      --workdir=DIR --config.data.root=DIR
"""

from configs import lse
from configs.camvid_to_idd import base


def get_config():
  """See the module's docstring."""
  return lse.small(
    base.get_config(), adapt_from=600, window=(114, 160), divisor=7
  )
