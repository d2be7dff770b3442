r"""DAFormer on Cityscapes -> Dark Zurich; the paper: 53.8 mIoU (test).

  python -m uda_jax.main --config=cityscapes_to_dark_zurich/daformer \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.cityscapes_to_dark_zurich import base


def get_config():
  return published_transformers.daformer(base.TRANSFORMERS)
