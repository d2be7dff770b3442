r"""DAFormer on streets -> CamVid: self-training, rare-class sampling.

  python -m uda_jax.main --config=streets_to_camvid/daformer \
      --workdir=DIR --config.data.root=DIR

Without its feature distance. The encoder has batch norm: on crops the student's
features, by statistics of the batch, begin 1.3 times their norm away from the
frozen ones, by running statistics; and at stride 32 less than one cell of a
batch lies in a thing.
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.daformer(base.BENCHMARK)
