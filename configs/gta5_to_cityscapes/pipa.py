r"""PiPa on HRDA, GTA5 -> Cityscapes: both contrasts train the student.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/pipa.py \
      --workdir=DIR --config.data.root=DIR

The paper's number is that of the released code, see pipa_released.
"""

from uda_jax.configs.blocks import pipa
from uda_jax.configs.gta5_to_cityscapes import hrda_60k


def get_config():
  """See the module's docstring."""
  return pipa.on_hrda(hrda_60k.get_config())
