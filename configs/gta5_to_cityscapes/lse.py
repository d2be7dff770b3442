r"""LSE from GTA5 to Cityscapes: FCN-8s on VGG-16.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/lse.py \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on GTA5: --config.model.weights=FILE, or the
directory of a run of lse_start in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import lse


def get_config():
  """See the module's docstring."""
  return lse.published(
    benchmarks.gta5_to_cityscapes(**lse.sizes(source=lse.GTA5)), network='vgg'
  )
