r"""DINOv2-B on GTA5 alone, for unseen streets; our pair.

  python -m uda_jax.main --config=gta5_to_unseen/dinov2_base \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.gta5_to_unseen import base


def get_config():
  return base.dinov2(size='b')
