"""Source-only training on rendered streets: the baseline.

python -m uda_jax.main --config=streets/source_only --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.source_only(base.BENCHMARK)
