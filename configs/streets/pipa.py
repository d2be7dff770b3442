"""PiPa on rendered streets: contrast of pixels, later of patches.

  python -m uda_jax.main --config=configs/streets/pipa.py --workdir=DIR

In the proportions of the paper's runs: patches from a sixth of the run on, in
crops of a third of the image's width.
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import pipa
from uda_jax.configs.streets import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.model.heads = (('proj', 'features', 64), ('project', 'logits', 64))
  config.method = pipa.method(
    common.self_training(threshold=0.9), patch_features='logits'
  )
  config.method.patch_contrast.update(
    channels=64, samples=128, start=config.steps // 6
  )
  config.data.pair.update(
    crop_size=(64, 64),
    long_side=(154, 384),
    group_size=2,
    first_step=config.method.patch_contrast.start,
  )
  config.teacher = common.teacher(decay=0.99)
  config.eval.network = 'teacher'
  return config
