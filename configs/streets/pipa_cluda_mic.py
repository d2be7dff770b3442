"""PiPa, CLUDA and MIC at once on rendered streets.

python -m uda_jax.main --config=streets/pipa_cluda_mic --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.pipa_cluda_mic(base.ADDITIONS)
