r"""EHTDI on CamVid day -> dusk: source classes pasted, views contrasted.

  python -m uda_jax.main \
      --config=configs/camvid_day_to_dusk/ehtdi.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import ehtdi
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  """See the module's docstring."""
  return ehtdi.small(
    base.get_config(),
    crop_size=(104, 104),
    adapt_from=100,
    # All but buildings, the ground and fences.
    paste_classes=(0, 2, 5, 6, 8, 9, 10),
  )
