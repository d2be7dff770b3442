"""The numbers of the runs on Cityscapes -> Dark Zurich."""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published_transformers

TRANSFORMERS = published_transformers.Benchmark(
  data=benchmarks.cityscapes_to_dark_zurich,
  source_size=(512, 1024),
  target_size=(540, 960),
)
