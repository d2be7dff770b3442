r"""PiPa on DAFormer, SYNTHIA -> Cityscapes: both contrasts train.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/pipa_daformer.py \
      --workdir=DIR --config.data.root=DIR

The paper's number is that of the released code, see
pipa_daformer_released.
"""

from uda_jax.configs.blocks import pipa
from uda_jax.configs.synthia_to_cityscapes import daformer_640_60k


def get_config():
  """See the module's docstring."""
  return pipa.on_daformer(daformer_640_60k.get_config())
