r"""PixMatch on streets -> CamVid: consistency under strong augmentation.

  python -m uda_jax.main --config=streets_to_camvid/pixmatch \
      --workdir=DIR --config.data.root=DIR

Other perturbations: --config.method.weight_fourier=0.1 and weight_cutmix. With
one head and images of one size the released code is the same.
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.pixmatch(base.BENCHMARK)
