r"""DAFormer on Cityscapes -> ACDC; the paper: 55.4 mIoU (test).

  python -m uda_jax.main \
      --config=configs/cityscapes_to_acdc/daformer.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published


def get_config():
  """See the module's docstring."""
  data = benchmarks.cityscapes_to_acdc(
    source_image_size=(512, 1024),
    target_image_size=(540, 960),
    eval_image_size=(540, 960),
  )
  return published.daformer(data, margins=(0, 0, 0, 0))
