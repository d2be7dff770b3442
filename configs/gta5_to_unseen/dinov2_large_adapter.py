r"""DINOv2-L with a ViT-Adapter on GTA5 alone, for unseen streets; our pair.

  python -m uda_jax.main --config=gta5_to_unseen/dinov2_large_adapter \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.gta5_to_unseen import base


def get_config():
  return base.dinov2(size='l', adapter=True)
