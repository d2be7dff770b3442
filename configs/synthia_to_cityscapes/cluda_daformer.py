r"""CLUDA on DAFormer, SYNTHIA -> Cityscapes: contrast at one resolution.

  python -m uda_jax.main --config=synthia_to_cityscapes/cluda_daformer \
      --workdir=DIR --config.data.root=DIR

The paper gives numbers for it, the released code has no such run.
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_transformers.cluda_daformer(base.TRANSFORMERS)
