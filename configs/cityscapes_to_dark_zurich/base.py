"""The numbers of the runs on Cityscapes -> Dark Zurich."""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.blocks import published_transformers

TRANSFORMERS = published_transformers.Benchmark(
  data=benchmarks.cityscapes_to_dark_zurich,
  source_size=(512, 1024),
  target_size=(540, 960),
  # DAFormer's list of experiments has the margins of Cityscapes here, too, in
  # rows of the crop of 512; these are rows of the image of 540. HRDA and MIC do
  # not use them: these cameras show neither a border nor a hood.
  daformer_margins=(15, 120, 0, 0),
  masked_images='one_of_each',
)

FOUNDATION = published_foundation.Benchmark(
  data=benchmarks.cityscapes_to_dark_zurich, label_size=(1024, 1820)
)
