"""Self-training of a small ConvNeXt from scratch on rendered streets.

python -m uda_jax.main --config=streets/convnext --workdir=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.blocks import networks
from uda_jax.configs.streets import base


def get_config():
  model = networks.convnext(encoder='convnext_atto', weights='')
  return laptop.self_training(base.on(model))
