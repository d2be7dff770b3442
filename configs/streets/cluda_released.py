r"""CLUDA on rendered streets, as released.

  python -m uda_jax.main \
      --config=configs/streets/cluda_released.py \
      --workdir=DIR
"""

from configs import cluda
from configs.streets import self_training


def get_config():
  """See the module's docstring."""
  config = self_training.get_config()
  config.method = cluda.released(config.method, grid=(17, 33))
  return config
