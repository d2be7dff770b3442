r"""PiPa on CamVid day -> dusk: contrast of pixels, later of patches.

  python -m uda_jax.main \
      --config=configs/camvid_day_to_dusk/pipa.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import pipa
from uda_jax.configs.camvid_day_to_dusk import self_training


def get_config():
  """See the module's docstring."""
  config = self_training.get_config()
  config.model.heads = (('proj', 'features', 128), ('project', 'fused', 64))
  config.method = pipa.method(config.method)
  config.method.patch_contrast.update(
    channels=64, samples=100, start=config.steps // 6
  )
  config.data.pair.update(
    crop_size=(80, 80),
    long_side=(171, 428),
    group_size=2,
    first_step=config.method.patch_contrast.start,
  )
  return config
