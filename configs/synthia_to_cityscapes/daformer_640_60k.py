r"""DAFormer on SYNTHIA -> Cityscapes in crops of 640, 60,000 steps.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/daformer_640_60k.py \
      --workdir=DIR --config.data.root=DIR

What PiPa on DAFormer is to be compared with.
"""

from uda_jax.configs.blocks import pipa
from uda_jax.configs.synthia_to_cityscapes import daformer


def get_config():
  """See the module's docstring."""
  return pipa.longer_daformer(daformer.get_config())
