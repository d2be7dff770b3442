r"""FCN-8s (VGG16) on GTA5 alone, for unseen streets; our pair.

  python -m uda_jax.main --config=gta5_to_unseen/fcn8s_vgg \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.gta5_to_unseen import base


def get_config():
  return base.fcn8s_vgg()
