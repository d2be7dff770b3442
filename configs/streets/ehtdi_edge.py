"""EHTDI on rendered streets, with losses on the borders of pastes.

python -m uda_jax.main --config=streets/ehtdi_edge --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.ehtdi_edge(base.BENCHMARK)
