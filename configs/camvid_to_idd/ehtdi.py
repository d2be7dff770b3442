r"""EHTDI on CamVid -> IDD-Lite: source classes pasted, views contrasted.

  python -m uda_jax.main \
      --config=configs/camvid_to_idd/ehtdi.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import ehtdi
from uda_jax.configs.camvid_to_idd import base


def get_config():
  """See the module's docstring."""
  return ehtdi.small(
    base.get_config(),
    crop_size=(104, 104),
    adapt_from=200,
    # All but the ground.
    paste_classes=(2, 3, 4, 5, 6),
  )
