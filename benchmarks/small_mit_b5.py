r"""DAFormer's run with MiT-B5 at a crop of 128, on rendered streets.

  python -m uda_jax.main --config=benchmarks/small_mit_b5.py --workdir=DIR \
      --config.model.weights=mit_b5.pth

The published config but for its images: rendered ones of 128 x 256.
`benchmarks.start` runs it.
"""

from uda_jax.configs.gta5_to_cityscapes import daformer
from uda_jax.configs.streets import daformer as on_streets

_SIZE = (128, 256)


def get_config():
  config = daformer.get_config()
  config.data = on_streets.get_config().data
  for part in ('source', 'target', 'evaluation'):
    config.data[part].image_size = _SIZE
  config.data.crop_size = (128, 128)
  # Signs, people, cars and bicycles of the eleven classes.
  config.method.distance_classes = (6, 7, 8, 9, 10)
  return config
