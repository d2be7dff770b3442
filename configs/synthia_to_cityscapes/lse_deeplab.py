r"""LSE from SYNTHIA to Cityscapes: DeepLab-v2 on ResNet-101.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/lse_deeplab.py \
      --workdir=DIR --config.data.root=DIR

Of the 19 classes of its network, those that SYNTHIA has are scored.

Starts from a network trained on SYNTHIA: --config.model.weights=FILE, or the
directory of a run of lse_deeplab_start in --config.warm_start.workdir.

With weights of BDL or ADVENT: --config.model.aspp_branches=4.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import lse


def get_config():
  """See the module's docstring."""
  config = lse.published(
    benchmarks.synthia_to_cityscapes(**lse.sizes(source=lse.SYNTHIA)),
    network='deeplab',
    skip_classes=lse.SYNTHIA_LACKS,
  )
  config.eval.subsets = benchmarks.synthia_means()
  return config
