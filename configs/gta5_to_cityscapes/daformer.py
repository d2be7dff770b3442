r"""DAFormer on GTA5 -> Cityscapes; the paper: 68.3 mIoU.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/daformer.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published


def get_config():
  """See the module's docstring."""
  data = benchmarks.gta5_to_cityscapes(
    source_image_size=(720, 1280),
    target_image_size=(512, 1024),
    eval_image_size=(512, 1024),
  )
  return published.daformer(data, margins=(15, 120, 0, 0))
