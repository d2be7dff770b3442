r"""HRDA on SYNTHIA -> Cityscapes; the paper: 65.8 mIoU of 16 classes.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/hrda.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published


def get_config():
  """See the module's docstring."""
  data = benchmarks.synthia_to_cityscapes(
    source_image_size=(1520, 2560),
    target_image_size=(1024, 2048),
    eval_image_size=(1024, 2048),
  )
  config = published.hrda(data, margins=(30, 240, 30, 30))
  config.eval.subsets = benchmarks.synthia_means()
  return config
