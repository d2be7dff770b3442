"""MIC on rendered streets: self-training, masked target images.

python -m uda_jax.main --config=streets/mic --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets import base


def get_config():
  return laptop.mic(base.ADDITIONS)
