r"""CLUDA on DAFormer, GTA5 -> Cityscapes: contrast at one resolution.

  python -m uda_jax.main --config=gta5_to_cityscapes/cluda_daformer \
      --workdir=DIR --config.data.root=DIR

The paper gives numbers for it, the released code has no such run.
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_transformers.cluda_daformer(base.TRANSFORMERS)
