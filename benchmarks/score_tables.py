"""Tables of docs/reproduce.md: scores, and whether they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import io

from benchmarks import claims
from benchmarks import plan
from benchmarks import rows as rows_lib


def helps(results: rows_lib.Results) -> str:
  """Returns bounds and self-training (does adaptation help?)."""
  head = ['benchmark', 'steps', 'source alone']
  head += ['its statistics from the target (AdaBN)', 'self-training']
  head += ['target labels (oracle)', 'part of the distance']
  lines = [_line(head), _line(['---'] * len(head))]
  for benchmark in results.benchmarks():
    for steps in results.lengths(benchmark):
      rows = rows_lib.stored(results.of(benchmark, steps))
      found = {row.name: row for row in rows}
      bounds = claims.SOURCE, claims.base(rows), claims.ORACLE
      if not set(bounds) <= set(found):
        continue
      low, mean, high = (found[name].mean for name in bounds)
      names = (bounds[0], f'{claims.SOURCE}, target statistics', *bounds[1:])
      scores = [
        rows_lib.score(found[n].scores) if n in found else '' for n in names
      ]
      part = f'{100 * (mean - low) / (high - low):.0f} %'
      lines.append(_line([benchmark, str(steps), *scores, part]))
  return '\n'.join(lines) + '\n'


# Benchmark -> row that the others are compared with -> comparison by row.
Tested = Mapping[str, Mapping[str, Mapping[str, claims.Claim]]]


def tested(results: rows_lib.Results) -> Tested:
  """Returns every row against the source alone, and against its base."""
  found = {}
  for name in results.benchmarks():
    rows = results.rows(name)
    base = claims.base(rows)
    found[name] = {
      claims.SOURCE: claims.against(rows, claims.SOURCE),
      base: claims.against(rows, base, alike=True),
    }
  return found


def methods(results: rows_lib.Results, tests: Tested) -> str:
  """Returns scores and comparisons of every row (which method?)."""
  text = ''
  for name, columns in tests.items():
    _, base = columns
    head = ['run', 'mIoU', 'by seed', 'against the source alone']
    head += [f'against {base} (students: its student)']
    text += f'**{name}**\n\n{_line(head)}\n{_line(["---"] * len(head))}\n'
    for row in results.rows(name):
      cells = [row.name, rows_lib.score(row.scores)]
      cells.append(rows_lib.by_seed(row.scores))
      cells += [claims.short(of.get(row.name)) for of in columns.values()]
      text += f'{_line(cells)}\n'
    text += '\n'
  return text.rstrip('\n') + '\n'


def tests_csv(tests: Tested) -> str:
  """Returns all of every comparison as CSV."""
  file = io.StringIO()
  write = csv.writer(file, lineterminator='\n').writerow
  write(['benchmark', 'run', 'against', *claims.HEAD])
  for name, columns in tests.items():
    for than, found in columns.items():
      for run, claim in found.items():
        write([name, run, than, *claims.cells(claim)])
  return file.getvalue()


def missing(results: rows_lib.Results) -> str:
  """Returns which part of the plan is stored."""
  have = {r.job for r in results.records}
  lines = ['| benchmark | steps | stored runs | of |', '|---|---|---|---|']
  for row in plan.PLAN:
    jobs = list(plan.jobs([row]))
    done = sum(job in have for job in jobs)
    lines.append(
      _line((row.benchmark, str(jobs[0].steps), str(done), str(len(jobs))))
    )
  return '\n'.join(lines) + '\n'


def longer(results: rows_lib.Results) -> str:
  """Returns scores by length of the run, where several are stored."""
  text = ''
  for benchmark in plan.benchmarks():
    lengths = results.lengths(benchmark)
    if len(lengths) < 2:
      continue
    of = {}
    for steps in lengths:
      rows = rows_lib.stored(results.of(benchmark, steps))
      of[steps] = {row.name: row for row in rows}
    every = [name for rows in of.values() for name in rows]
    names = dict.fromkeys(name for name in every if every.count(name) > 1)
    head = (benchmark, *(f'{steps} steps' for steps in lengths))
    lines = [_line(head), _line(['---'] * len(head))]
    for name in names:
      cells = [
        rows_lib.score(of[s][name].scores) if name in of[s] else '' for s in of
      ]
      lines.append(_line([name, *cells]))
    text += '\n'.join(lines) + '\n\n'
  nothing = 'No benchmark has stored runs of several lengths yet.'
  return f'{text.strip() or nothing}\n'


def _line(cells: Sequence[str]) -> str:
  return f'| {" | ".join(cells)} |'
