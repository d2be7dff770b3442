"""Mean-teacher ClassMix self-training on rendered streets.

python -m uda_jax.main --config=streets/self_training --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.self_training(base.BENCHMARK)
