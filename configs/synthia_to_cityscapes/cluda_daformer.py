r"""CLUDA on DAFormer, SYNTHIA -> Cityscapes: contrast at one resolution.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/cluda_daformer.py \
      --workdir=DIR --config.data.root=DIR

The paper gives numbers for it, the released code has no such run.
"""

from uda_jax.configs.blocks import cluda
from uda_jax.configs.synthia_to_cityscapes import daformer


def get_config():
  """See the module's docstring."""
  config = daformer.get_config()
  config.method = cluda.method(config.method)
  return config
