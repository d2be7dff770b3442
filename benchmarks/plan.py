"""The measurements of docs/reproduce.md: benchmark, configs, seeds, steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from uda_jax import configs


class Row(NamedTuple):
  """Every combination of some configs and seeds.

  Attributes:
    benchmark: folder in configs/.
    configs: files in it, without ending.
    seeds: of the runs.
    steps: length of the runs; 0: that of the configs.
  """

  benchmark: str
  configs: tuple[str, ...]
  seeds: tuple[int, ...] = (0, 1, 2)
  steps: int = 0


class Job(NamedTuple):
  """One run.

  Attributes:
    benchmark: folder in configs/.
    config: file in it, without ending.
    seed: of the run.
    steps: its length.
  """

  benchmark: str
  config: str
  seed: int
  steps: int


BOUNDS = ('source_only', 'source_augmented', 'self_training', 'oracle')
PAPERS = (
  'pixmatch',
  'ehtdi',
  'lse',
  'daformer',
  'pipa',
  'cluda',
  'mic',
  'pipa_cluda_mic',
)
LONGER = ('source_only', 'daformer', 'mic', 'oracle')

# The first rows are the shortest: a plan that is stopped has filled them.
PLAN: tuple[Row, ...] = (
  Row('cells', BOUNDS),
  Row('streets', (*BOUNDS, *PAPERS)),
  Row('camvid_day_to_dusk', (*BOUNDS, *PAPERS)),
  Row('camvid_to_idd', (*BOUNDS, *PAPERS)),
  Row('streets_to_camvid', (*BOUNDS, *PAPERS)),
  Row('camvid_to_idd', LONGER, steps=3200),
  Row('streets_to_camvid', LONGER, steps=3200),
  Row('camvid_to_idd', LONGER, steps=12800),
  Row('streets_to_camvid', LONGER, steps=12800),
)


def benchmarks() -> tuple[str, ...]:
  """Returns the benchmarks of the plan."""
  return tuple(dict.fromkeys(row.benchmark for row in PLAN))


def chosen(
  names: Sequence[str],
  wanted: Sequence[str] = (),
  seeds: Sequence[int] = (),
  steps: int | None = None,
) -> tuple[Row, ...]:
  """Returns what flags name.

  Args:
    names: benchmarks.
    wanted: configs; (): the rows of the plan.
    seeds: (): those of the plan, or 0, 1, 2.
    steps: None: those of the plan, or the configs'.
  """
  if wanted:
    return tuple(
      Row(name, tuple(wanted), tuple(seeds) or (0, 1, 2), steps or 0)
      for name in names
    )
  return tuple(
    row._replace(seeds=tuple(seeds) or row.seeds)
    for row in PLAN
    if row.benchmark in names and steps in (None, row.steps)
  )


def jobs(rows: Sequence[Row]) -> Iterator[Job]:
  """Yields the runs of some rows, all configs with the first seed first.

  Raises:
    ValueError: a benchmark or a config does not exist.
  """
  known = configs.paths()
  for row in rows:
    for config in row.configs:
      if f'{row.benchmark}/{config}' not in known:
        there = sorted(n for n in known if n.startswith(f'{row.benchmark}/'))
        raise ValueError(
          f'{row.benchmark}/{config}: expected a config of '
          f'{", ".join(there) or "a folder in configs/"}'
        )
  for row in rows:
    for seed in row.seeds:
      for config in row.configs:
        steps = row.steps or configs.load(f'{row.benchmark}/{config}').steps
        yield Job(row.benchmark, config, seed, steps)
