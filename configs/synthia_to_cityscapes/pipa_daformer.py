r"""PiPa on DAFormer, SYNTHIA -> Cityscapes: both contrasts train.

  python -m uda_jax.main --config=synthia_to_cityscapes/pipa_daformer \
      --workdir=DIR --config.data.root=DIR

The paper's number is that of the released code, see
pipa_daformer_released.
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_transformers.pipa_daformer(base.TRANSFORMERS)
