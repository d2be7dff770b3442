"""The numbers of the runs on SYNTHIA -> Cityscapes."""

from uda_jax import labels
from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.blocks import starts

TRANSFORMERS = published_transformers.Benchmark(
  data=benchmarks.synthia_to_cityscapes,
  source_size=(760, 1280),
  target_size=(512, 1024),
  daformer_margins=(15, 120, 0, 0),
  hrda_margins=(30, 240, 30, 30),
  subsets=benchmarks.synthia_means(),
)

# PixMatch and EHTDI train the 16 classes that SYNTHIA has, LSE all 19.
CONVNETS = published_convnets.Benchmark(
  data=benchmarks.synthia_16_to_cityscapes,
  # The last 400 images are for validation.
  files=('000[0-8]*',),
  num_images=9000,
  # Of a network of the 19 classes, as GTA5_source.pth holds one.
  class_rows=labels.SUBSET_16,
  pixmatch_start=starts.IMAGENET_RESNET,
  ehtdi_start=starts.synthia_two_heads(),
  lse_start=starts.lse('synthia_to_cityscapes'),
  lse_deeplab_start=starts.lse_deeplab('synthia_to_cityscapes'),
  subsets=benchmarks.synthia_16_means(),
  best_subset='13 classes',
  # All but road, sidewalk, building, wall, fence.
  paste_classes=tuple(range(5, 16)),
  view_contrast=0.008,
  lse_data=benchmarks.synthia_to_cityscapes,
  lse_source_size=(760, 1280),
  # The classes that SYNTHIA lacks: terrain, truck, train.
  lse_skip_classes=(9, 14, 16),
  lse_subsets=benchmarks.synthia_means(),
)

FOUNDATION = published_foundation.Benchmark(
  data=benchmarks.synthia_to_cityscapes,
  subsets=benchmarks.synthia_means(),
)
