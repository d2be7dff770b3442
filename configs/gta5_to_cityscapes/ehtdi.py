r"""EHTDI from GTA5 to Cityscapes, 19 classes.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/ehtdi.py \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on GTA5: --config.model.weights=FILE, or the
directory of another run in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import ehtdi
from uda_jax.configs.blocks import pixmatch


def get_config():
  """See the module's docstring."""
  config = ehtdi.published(
    benchmarks.gta5_to_cityscapes(**pixmatch.sizes()),
    paste_classes=ehtdi.PASTE_19,
  )
  return config
