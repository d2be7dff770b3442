r"""PixMatch from SYNTHIA to Cityscapes, 16 classes.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/pixmatch.py \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import pixmatch


def get_config():
  """See the module's docstring."""
  config = pixmatch.published(
    benchmarks.synthia_16_to_cityscapes(**pixmatch.sizes())
  )
  config.eval.subsets = benchmarks.synthia_16_means()
  # As the released code selects it.
  config.checkpoint.best_subset = '13 classes'
  # Its last 400 images are for validation.
  config.data.source.files = ('000[0-8]*',)
  config.method = pixmatch.method()
  return config
