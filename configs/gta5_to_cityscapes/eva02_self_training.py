r"""Self-training of EVA-02-B, GTA5 -> Cityscapes; from no paper.

  python -m uda_jax.main --config=gta5_to_cityscapes/eva02_self_training \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import combinations
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return combinations.eva02(base.TRANSFORMERS)
