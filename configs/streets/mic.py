r"""MIC on rendered streets: self-training, and images behind blocks.

  python -m uda_jax.main \
      --config=configs/streets/mic.py \
      --workdir=DIR
"""

from uda_jax.configs.blocks import mic
from uda_jax.configs.streets import self_training


def get_config():
  """See the module's docstring."""
  config = self_training.get_config()
  config.method = mic.masked(config.method, block=16)
  return config
