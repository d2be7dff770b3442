r"""As source_only, with colour jitter and blur of the source.

  python -m uda_jax.main \
      --config=configs/streets/source_augmented.py \
      --workdir=DIR
"""

from configs import common
from configs.streets import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.method = common.source_only(augment=True)
  return config
