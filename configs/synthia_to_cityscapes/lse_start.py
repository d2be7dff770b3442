r"""SYNTHIA alone, for LSE to start from: FCN-8s on VGG-16.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/lse_start.py \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE, and with
torchvision's VGG-16 --config.model.preprocessing=IMAGENET (in LSE's run too).
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import lse


def get_config():
  """See the module's docstring."""
  config = lse.start(
    benchmarks.synthia_to_cityscapes(**lse.sizes(source=lse.SYNTHIA)),
    network='vgg',
  )
  config.eval.subsets = benchmarks.synthia_means()
  return config
