r"""PixMatch from GTA5 to Cityscapes, 19 classes.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/pixmatch.py \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on GTA5: --config.model.weights=FILE, or another
run's directory in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import pixmatch


def get_config():
  """See the module's docstring."""
  config = pixmatch.published(benchmarks.gta5_to_cityscapes(**pixmatch.sizes()))
  config.method = pixmatch.method()
  return config
