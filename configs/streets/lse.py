"""LSE on rendered streets: rounds on enlarged low-entropy windows.

python -m uda_jax.main --config=streets/lse --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.lse(base.BENCHMARK)
