"""`tests/small_config.py` with the smallest network, which compiles fast.

Like any config it works with

  python -m uda_jax.main --config=tests/tiny_config.py --workdir=DIR
"""

from tests import small_config
from tests import tiny
from uda_jax import models


def get_config():
  """Registers the tiny network and selects it."""
  models.MODELS['tiny'] = lambda config, num_classes: tiny.network(
    num_classes, config.in_channels
  )
  models.IMPORTERS['tiny'] = models.IMPORTERS['compact']
  config = small_config.get_config()
  config.model.name = 'tiny'
  # Programs and a pipeline of their own, for runs that look at them.
  config.eval.label_free.num_images = 0
  return config
