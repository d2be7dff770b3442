r"""LSE from SYNTHIA to Cityscapes: FCN-8s on VGG-16.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/lse.py \
      --workdir=DIR --config.data.root=DIR

Of the 19 classes of its network, those that SYNTHIA has are scored.

Starts from a network trained on SYNTHIA: --config.model.weights=FILE, or the
directory of a run of lse_start in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import lse


def get_config():
  """See the module's docstring."""
  config = lse.published(
    benchmarks.synthia_to_cityscapes(**lse.sizes(source=lse.SYNTHIA)),
    network='vgg',
    skip_classes=lse.SYNTHIA_LACKS,
  )
  config.eval.subsets = benchmarks.synthia_means()
  return config
