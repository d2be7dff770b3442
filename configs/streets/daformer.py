"""DAFormer on rendered streets: self-training, rare-class sampling.

  python -m uda_jax.main --config=streets/daformer --workdir=DIR

Without its feature distance: the network starts from scratch, so there are no
pretrained features to stay near.
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.daformer(base.BENCHMARK)
