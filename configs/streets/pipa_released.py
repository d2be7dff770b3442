"""PiPa on rendered streets, as released.

  python -m uda_jax.main --config=streets/pipa_released --workdir=DIR

The contrast of patches never reaches the student there.
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.pipa_released(base.ADDITIONS)
