r"""HRDA on SYNTHIA -> Cityscapes, 60,000 steps.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/hrda_60k.py \
      --workdir=DIR --config.data.root=DIR

What PiPa on HRDA is to be compared with.
"""

from uda_jax.configs.blocks import pipa
from uda_jax.configs.synthia_to_cityscapes import hrda


def get_config():
  """See the module's docstring."""
  return pipa.longer_hrda(hrda.get_config())
