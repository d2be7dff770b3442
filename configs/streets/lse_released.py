"""LSE on rendered streets with the choices of the released code.

python -m uda_jax.main --config=streets/lse_released --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.lse_released(base.BENCHMARK)
