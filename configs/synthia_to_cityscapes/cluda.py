r"""CLUDA on HRDA, SYNTHIA -> Cityscapes, every pixel with its own label.

  python -m uda_jax.main --config=synthia_to_cityscapes/cluda \
      --workdir=DIR --config.data.root=DIR

The paper's number is that of the released pixel order, see cluda_released.
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_transformers.cluda(base.TRANSFORMERS)
