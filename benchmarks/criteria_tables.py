"""Criteria without labels against true scores, as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

from benchmarks import records
from uda_jax.evaluate import ranking
from uda_jax.evaluate import reports
from uda_jax.evaluate import selection


def table(found: Sequence[records.Record], length: Callable[[str], int]) -> str:
  """Returns a Markdown table: how well criteria choose runs and steps.

  Args:
    found: all records.
    length: steps of a benchmark's configs; runs of that length are compared.
  """
  lines = [
    '| benchmark | criterion | chooses among | networks | Spearman | Kendall '
    '| regret, points |',
    '|---|---|---|---|---|---|---|',
  ]
  for benchmark in dict.fromkeys(record.job.benchmark for record in found):
    runs = [
      record
      for record in found
      if record.job.benchmark == benchmark
      and record.job.steps == length(benchmark)
      # Its source is the target's labels: no one without labels has it.
      and record.job.config != 'oracle'
    ]
    for name, one in _runs(runs).items():
      lines.append(_row(benchmark, name, 'runs', one))
    for name, many in _steps(runs).items():
      lines.append(_mean(benchmark, name, many))
  if len(lines) == 2:
    return 'No stored runs yet.\n'
  return '\n'.join(lines) + '\n'


def _runs(found: Sequence[records.Record]) -> dict[str, ranking.Agreement]:
  """Returns how each criterion ranks the runs' reported networks."""
  return ranking.compare(
    [records.report(record, record.reported) for record in found]
  )


def _steps(
  found: Sequence[records.Record],
) -> dict[str, list[ranking.Agreement]]:
  """Returns how each criterion ranks the steps of each run."""
  result: dict[str, list[ranking.Agreement]] = {}
  for record in found:
    points = [
      {'miou': {reports.ALL: e['miou']}, 'label_free': e['label_free']}
      for e in record.evaluations
    ]
    for name, one in ranking.compare(points).items():
      result.setdefault(name, []).append(one)
  return {n: result[n] for n in selection.LABEL_FREE if n in result}


def _row(benchmark: str, name: str, among: str, one: ranking.Agreement) -> str:
  return (
    f'| {benchmark} | {name} | {among} | {one.networks} | {_two(one.spearman)} '
    f'| {_two(one.kendall)} | {100 * one.regret:.1f} |'
  )


def _mean(benchmark: str, name: str, many: Sequence[ranking.Agreement]) -> str:
  """Returns the row of means over runs, of those that have a correlation."""

  def mean(values: Sequence[float]) -> float:
    known = [x for x in values if not math.isnan(x)]
    return sum(known) / len(known) if known else float('nan')

  one = ranking.Agreement(
    sum(a.networks for a in many),
    *(mean([a[i] for a in many]) for i in range(1, 6)),
  )
  return _row(benchmark, name, f'steps of a run, mean of {len(many)}', one)


def _two(value: float) -> str:
  return '' if math.isnan(value) else f'{value:.2f}'
