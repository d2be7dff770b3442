"""The numbers of the runs on CamVid day -> dusk."""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.camvid_to_idd import base

BENCHMARK = base.BENCHMARK._replace(
  data=benchmarks.camvid_day_to_dusk,
  steps=400,
  rare_class_temperature=0.01,
  source_steps=100,
  # All but buildings, the ground and fences.
  paste_classes=(0, 2, 5, 6, 8, 9, 10),
  lse=dict(adapt_from=300, window=(120, 160), divisor=11),
  # Few images: with smaller fractions a class would select no image.
  rounds=dict(p_start=0.2, p_step=0.1, p_max=0.6),
)
