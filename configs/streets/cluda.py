"""CLUDA on rendered streets: contrast of pixels at one resolution.

python -m uda_jax.main --config=streets/cluda --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.cluda(base.ADDITIONS)
