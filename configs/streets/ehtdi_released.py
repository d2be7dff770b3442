r"""EHTDI on rendered streets with the choices of the released code.

  python -m uda_jax.main \
      --config=configs/streets/ehtdi_released.py \
      --workdir=DIR
"""

from uda_jax.configs.blocks import ehtdi as blocks
from uda_jax.configs.streets import ehtdi


def get_config():
  """See the module's docstring."""
  config = ehtdi.get_config()
  blocks.release(config.method)
  return config
