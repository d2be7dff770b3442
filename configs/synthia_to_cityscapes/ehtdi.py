r"""EHTDI from SYNTHIA to Cityscapes, 16 classes.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/ehtdi.py \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on SYNTHIA: --config.model.weights=FILE, or the
directory of another run in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import ehtdi
from uda_jax.configs.blocks import pixmatch


def get_config():
  """See the module's docstring."""
  config = ehtdi.published(
    benchmarks.synthia_16_to_cityscapes(**pixmatch.sizes()),
    paste_classes=ehtdi.PASTE_16,
  )
  config.eval.subsets = benchmarks.synthia_16_means()
  # As the released code selects it.
  config.checkpoint.best_subset = '13 classes'
  # Its last 400 images are for validation.
  config.data.source.files = ('000[0-8]*',)
  config.method.weight_view_contrast = 0.008
  return config
