r"""MIC on CamVid -> IDD-Lite: self-training, images behind blocks.

  python -m uda_jax.main \
      --config=configs/camvid_to_idd/mic.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import mic
from uda_jax.configs.camvid_to_idd import self_training


def get_config():
  """See the module's docstring."""
  config = self_training.get_config()
  config.method = mic.masked(config.method, block=16)
  return config
