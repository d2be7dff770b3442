r"""Adapts from folder A to folder B by mean-teacher ClassMix self-training.

  python -m uda_jax.main --config=custom/self_training \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.custom import base


def get_config():
  config = base.get_config()
  # Pseudo-labels are weighed by the fraction of pixels above this confidence.
  config.method = common.self_training(threshold=0.9)
  config.teacher = common.teacher(decay=0.99)
  config.eval.network = 'teacher'
  return config
