r"""Mean-teacher ClassMix self-training on CamVid -> IDD-Lite.

  python -m uda_jax.main \
      --config=configs/camvid_to_idd/self_training.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.camvid_to_idd import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.method = common.self_training(threshold=0.9)
  config.teacher = common.teacher(decay=0.99)
  config.eval.network = 'teacher'
  return config
