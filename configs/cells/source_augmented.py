"""Source-only training on rendered cells, with color jitter and blur.

python -m uda_jax.main --config=cells/source_augmented --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.cells import base


def get_config():
  return laptop.source_augmented(base.BENCHMARK)
