"""The numbers of the runs on streets -> CamVid by day."""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.camvid_to_idd import base

BENCHMARK = base.BENCHMARK._replace(
  data=benchmarks.streets_to_camvid,
  rare_class_temperature=0.01,
  # Poles, signs, vegetation, sky, people, cars and bicycles.
  paste_classes=tuple(range(4, 11)),
  lse=dict(adapt_from=600, window=(120, 160), divisor=11),
)
