"""The numbers of the runs from several synthetic sets to several real ones."""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import published_foundation

FOUNDATION = published_foundation.Benchmark(data=benchmarks.synthetic_to_real)
