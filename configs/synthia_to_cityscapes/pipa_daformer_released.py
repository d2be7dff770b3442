r"""PiPa on DAFormer, SYNTHIA -> Cityscapes, as released.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/pipa_daformer_released.py \
      --workdir=DIR --config.data.root=DIR

The paper: 63.4 mIoU of 16 classes.
The contrast of patches never reaches the student there.
"""

from uda_jax.configs.blocks import pipa
from uda_jax.configs.synthia_to_cityscapes import daformer_640_60k


def get_config():
  """See the module's docstring."""
  return pipa.released_on(daformer_640_60k.get_config())
