r"""CLUDA on HRDA, SYNTHIA -> Cityscapes, every pixel with its own label.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/cluda.py \
      --workdir=DIR --config.data.root=DIR

The paper's number is that of the released pixel order, see cluda_released.
"""

from uda_jax.configs.blocks import cluda
from uda_jax.configs.synthia_to_cityscapes import hrda


def get_config():
  """See the module's docstring."""
  return cluda.on_hrda(hrda.get_config())
