"""The numbers of the runs on rendered cells."""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.streets import base

BENCHMARK = base.BENCHMARK._replace(
  data=benchmarks.cells, steps=400, cluda_contrast=dict(grid=(17, 17))
)
