"""The numbers of the runs on GTA5 -> Cityscapes."""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.blocks import starts

TRANSFORMERS = published_transformers.Benchmark(
  data=benchmarks.gta5_to_cityscapes,
  source_size=(720, 1280),
  target_size=(512, 1024),
  daformer_margins=(15, 120, 0, 0),
  hrda_margins=(30, 240, 30, 30),
)

CONVNETS = published_convnets.Benchmark(
  data=benchmarks.gta5_to_cityscapes,
  # The official split: read from split.mat where there is no such list, see
  # `uda_jax.data.name_lists`.
  files='train.txt',
  num_images=12403,
  class_rows=(),
  pixmatch_start=starts.gta5_two_heads(),
  ehtdi_start=starts.gta5_two_heads(),
  lse_start=starts.lse('gta5_to_cityscapes'),
  lse_deeplab_start=starts.lse_deeplab('gta5_to_cityscapes'),
  subsets={},
  best_subset='all classes',
  # All but road, sidewalk, building, wall, fence.
  paste_classes=tuple(range(5, 19)),
  view_contrast=0.01,
  lse_data=benchmarks.gta5_to_cityscapes,
  lse_source_size=(720, 1280),
  lse_skip_classes=(),
  lse_subsets={},
)

FOUNDATION = published_foundation.Benchmark(
  data=benchmarks.gta5_to_cityscapes,
  source_side=1440,
)
