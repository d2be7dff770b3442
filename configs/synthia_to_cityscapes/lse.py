r"""LSE from SYNTHIA to Cityscapes: FCN-8s on VGG-16.

  python -m uda_jax.main --config=synthia_to_cityscapes/lse \
      --workdir=DIR --config.data.root=DIR

Of the 19 classes of its network, those that SYNTHIA has are scored.

Starts from a network trained on SYNTHIA: --config.model.weights=FILE, or the
directory of a run of lse_start in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_convnets.lse(base.CONVNETS)
