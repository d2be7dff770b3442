"""One step of DeepLab-v2 on ResNet-101 from scratch, on small rendered streets.

python -m uda_jax.main --config=benchmarks/small_deeplab.py --workdir=DIR
"""

from uda_jax.configs.blocks import convnets
from uda_jax.configs.streets import source_only


def get_config():
  config = source_only.get_config()
  config.model = convnets.deeplab_v2(aux_head=False)
  config.steps = 1
  for part in ('source', 'target', 'evaluation'):
    config.data[part].num_images = 4
  config.data.crop_size = (64, 64)
  config.eval.target_statistics = 0
  config.eval.label_free.num_images = 0
  config.log.panels_every = 0
  return config
