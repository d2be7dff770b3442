r"""Mean-teacher ClassMix self-training on rendered streets.

  python -m uda_jax.main \
      --config=configs/streets/self_training.py \
      --workdir=DIR
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.streets import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.method = common.self_training(threshold=0.9)
  config.teacher = common.teacher(decay=0.99)
  config.eval.network = 'teacher'
  return config
