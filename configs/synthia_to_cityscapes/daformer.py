r"""DAFormer on SYNTHIA -> Cityscapes; the paper: 60.9 mIoU of 16 classes.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/daformer.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published


def get_config():
  """See the module's docstring."""
  data = benchmarks.synthia_to_cityscapes(
    source_image_size=(760, 1280),
    target_image_size=(512, 1024),
    eval_image_size=(512, 1024),
  )
  config = published.daformer(data, margins=(15, 120, 0, 0))
  config.eval.subsets = benchmarks.synthia_means()
  return config
