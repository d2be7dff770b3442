r"""CLUDA on CamVid -> IDD-Lite: contrast of pixels at one resolution.

  python -m uda_jax.main \
      --config=configs/camvid_to_idd/cluda.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import cluda
from uda_jax.configs.camvid_to_idd import self_training


def get_config():
  """See the module's docstring."""
  config = self_training.get_config()
  config.method = cluda.method(config.method, grid=(33, 33))
  return config
