r"""PiPa on rendered streets, as released.

  python -m uda_jax.main \
      --config=configs/streets/pipa_released.py \
      --workdir=DIR

The contrast of patches never reaches the student there.
"""

from uda_jax.configs.blocks import pipa
from uda_jax.configs.streets import self_training


def get_config():
  """See the module's docstring."""
  config = self_training.get_config()
  config.model.heads = (('proj', 'features', 64), ('cls', 'features', 11))
  config.method = pipa.released(config.method)
  return config
