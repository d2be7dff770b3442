r"""LSE on CamVid day -> dusk with the choices of the released code.

  python -m uda_jax.main \
      --config=configs/camvid_day_to_dusk/lse_released.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import lse as blocks
from uda_jax.configs.camvid_day_to_dusk import lse


def get_config():
  """See the module's docstring."""
  return blocks.release(lse.get_config())
