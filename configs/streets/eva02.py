"""Self-training of the smallest EVA-02 from scratch on rendered streets.

python -m uda_jax.main --config=streets/eva02 --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.blocks import networks
from uda_jax.configs.streets import base


def get_config():
  model = networks.eva02(size='tiny', weights='')
  # Patches of 14 are coarse: the network sees the images at twice their size.
  model.enlarge = 2.0
  return laptop.self_training(base.on(model))
