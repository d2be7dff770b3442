r"""SYNTHIA alone, for LSE to start from: DeepLab-v2 on ResNet-101.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/lse_deeplab_start.py \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import lse


def get_config():
  """See the module's docstring."""
  config = lse.start(
    benchmarks.synthia_to_cityscapes(**lse.sizes(source=lse.SYNTHIA)),
    network='deeplab',
  )
  config.eval.subsets = benchmarks.synthia_means()
  return config
