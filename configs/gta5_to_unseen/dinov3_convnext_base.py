r"""DINOv3's ConvNeXt-B on GTA5 alone, for unseen streets; our pair.

  python -m uda_jax.main --config=gta5_to_unseen/dinov3_convnext_base \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.gta5_to_unseen import base


def get_config():
  return base.convnext()
