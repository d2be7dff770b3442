r"""GTA5 alone, for LSE to start from: DeepLab-v2 on ResNet-101.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/lse_deeplab_start.py \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import lse


def get_config():
  """See the module's docstring."""
  return lse.start(
    benchmarks.gta5_to_cityscapes(**lse.sizes(source=lse.GTA5)),
    network='deeplab',
  )
