"""Training on the target's labels of rendered cells: the upper bound.

python -m uda_jax.main --config=cells/oracle --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.cells import base


def get_config():
  return laptop.oracle(base.BENCHMARK)
