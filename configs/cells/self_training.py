"""Mean-teacher ClassMix self-training on rendered cells.

python -m uda_jax.main --config=cells/self_training --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.cells import base


def get_config():
  return laptop.self_training(base.BENCHMARK)
