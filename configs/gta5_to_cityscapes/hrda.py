r"""HRDA on GTA5 -> Cityscapes; the paper: 73.8 mIoU.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/hrda.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published


def get_config():
  """See the module's docstring."""
  data = benchmarks.gta5_to_cityscapes(
    source_image_size=(1440, 2560),
    target_image_size=(1024, 2048),
    eval_image_size=(1024, 2048),
  )
  return published.hrda(data, margins=(30, 240, 30, 30))
