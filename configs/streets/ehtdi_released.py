"""EHTDI on rendered streets with the choices of the released code.

python -m uda_jax.main --config=streets/ehtdi_released --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.ehtdi_released(base.BENCHMARK)
