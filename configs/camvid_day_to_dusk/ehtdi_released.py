r"""EHTDI on CamVid day -> dusk with the choices of the released code.

  python -m uda_jax.main \
      --config=configs/camvid_day_to_dusk/ehtdi_released.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import ehtdi as blocks
from uda_jax.configs.camvid_day_to_dusk import ehtdi


def get_config():
  """See the module's docstring."""
  config = ehtdi.get_config()
  blocks.release(config.method)
  return config
