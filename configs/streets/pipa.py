"""PiPa on rendered streets: contrast of pixels, later of patches.

python -m uda_jax.main --config=streets/pipa --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.pipa(base.ADDITIONS)
