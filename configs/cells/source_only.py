"""Source-only training on rendered cells: the baseline.

python -m uda_jax.main --config=cells/source_only --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.cells import base


def get_config():
  return laptop.source_only(base.BENCHMARK)
