"""EHTDI on rendered streets: source classes pasted, views contrasted.

python -m uda_jax.main --config=streets/ehtdi --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.ehtdi(base.BENCHMARK)
