r"""HRDA on Cityscapes -> ACDC; the paper: 68.0 mIoU (test).

  python -m uda_jax.main \
      --config=configs/cityscapes_to_acdc/hrda.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published


def get_config():
  """See the module's docstring."""
  data = benchmarks.cityscapes_to_acdc(
    source_image_size=(1024, 2048),
    target_image_size=(1080, 1920),
    eval_image_size=(1080, 1920),
  )
  return published.hrda(data, margins=(0, 0, 0, 0))
