r"""As source_only, with colour jitter and blur of the source.

  python -m uda_jax.main \
      --config=configs/camvid_day_to_dusk/source_augmented.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.method = common.source_only(augment=True)
  return config
