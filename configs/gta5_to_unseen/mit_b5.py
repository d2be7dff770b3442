r"""MiT-B5 and DAFormer's head on GTA5 alone, for unseen streets; our pair.

  python -m uda_jax.main --config=gta5_to_unseen/mit_b5 \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.gta5_to_unseen import base


def get_config():
  return base.mit_b5()
