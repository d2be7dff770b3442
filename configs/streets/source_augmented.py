"""Source-only training on rendered streets, with color jitter and blur.

python -m uda_jax.main --config=streets/source_augmented --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.source_augmented(base.BENCHMARK)
