"""CLUDA on rendered streets, as released.

python -m uda_jax.main --config=streets/cluda_released --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.cluda_released(base.ADDITIONS)
