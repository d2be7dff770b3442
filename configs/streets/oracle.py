"""Training on the target's labels of rendered streets: the upper bound.

python -m uda_jax.main --config=streets/oracle --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.oracle(base.BENCHMARK)
