"""Writes the tables and plots of docs/reproduce.md from stored files alone.

  python -m benchmarks.reproduce
  python -m benchmarks.reproduce --check

It trains nothing and needs no data: benchmarks/results holds the counts of
every image of every stored run, and the tables of earlier runs. The places in
the pages are marked `<!-- tables: NAME -->` to `<!-- end -->`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
import pathlib
import re
from typing import NamedTuple

from benchmarks import claims
from benchmarks import criteria_tables
from benchmarks import plan
from benchmarks import plots
from benchmarks import records
from benchmarks import rows as rows_lib
from uda_jax import cli
from uda_jax import configs
from uda_jax import files

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ('docs/reproduce.md', 'docs/ablations.md')
_BLOCK = re.compile(
  r'(<!-- tables: ([\w ]+) -->\n).*?(<!-- end -->)', flags=re.DOTALL
)
# Benchmark -> its earlier tables.
EARLIER = {
  'streets': ('streets', 'streets_methods'),
  'camvid_to_idd': ('camvid_to_idd',),
  'camvid_day_to_dusk': ('camvid_day_to_dusk',),
  'streets_to_camvid': ('streets_to_camvid',),
}


class Results(NamedTuple):
  """Everything that is stored.

  Attributes:
    records: of all runs.
    earlier: folder of the earlier tables.
  """

  records: Sequence[records.Record]
  earlier: pathlib.Path = rows_lib.EARLIER

  def of(self, benchmark: str, steps: int) -> list[records.Record]:
    """Returns the records of one benchmark and length."""
    return [
      r
      for r in self.records
      if (r.job.benchmark, r.job.steps) == (benchmark, steps)
    ]

  def rows(self, benchmark: str) -> list[rows_lib.Row]:
    """Returns the rows of a benchmark at the length of its configs."""
    new = rows_lib.stored(self.of(benchmark, length(benchmark)))
    old = [
      row
      for name in EARLIER.get(benchmark, ())
      for row in rows_lib.earlier(name, self.earlier)
    ]
    return rows_lib.merged(new, old)

  def benchmarks(self) -> list[str]:
    """Returns the benchmarks that have a row."""
    return [name for name in plan.benchmarks() if self.rows(name)]


def length(benchmark: str) -> int:
  """Returns the steps of a benchmark's configs."""
  return configs.load(f'{benchmark}/source_only').steps


def helps(results: Results) -> str:
  """Returns bounds and self-training, by benchmark (does adaptation help?)."""
  head = ('benchmark', 'source alone', 'its statistics from the target (AdaBN)')
  head += ('self-training', 'target labels (oracle)', 'part of the distance')
  lines = [_line(head), _line(['---'] * len(head))]
  for benchmark in results.benchmarks():
    rows = results.rows(benchmark)
    found = {row.name: row for row in rows}
    names = (
      claims.SOURCE,
      'source_only, student, target statistics',
      claims.base(rows),
      'oracle, student',
    )
    label = benchmark
    if claims.SOURCE not in found:
      names = tuple(map(claims.in_other_settings, names))
      label += f',{claims.OTHER_SETTINGS}'
    cells = [rows_lib.score(found[n]) if n in found else '' for n in names]
    part = ''
    if all(cells):
      low, _, mean, high = (found[n].mean for n in names)
      part = f'{100 * (mean - low) / (high - low):.0f} %'
    lines.append(_line([label, *cells, part]))
  return '\n'.join(lines) + '\n'


def methods(results: Results) -> str:
  """Returns scores, and every row against the base (which method?)."""
  parts = []
  for name in results.benchmarks():
    rows = results.rows(name)
    against = claims.table(rows, claims.base(rows), alike=True)
    parts.append(f'**{name}**\n\n{rows_lib.table(rows)}\n{against}')
  return '\n'.join(parts)


def gains(results: Results) -> str:
  """Returns every row against the source alone (does adaptation help?)."""
  return '\n'.join(
    f'**{name}**\n\n{claims.table(results.rows(name), claims.SOURCE)}'
    for name in results.benchmarks()
  )


def missing(results: Results) -> str:
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


def terms(results: Results) -> str:
  """Returns ablations of the methods on streets, earlier runs."""
  found = rows_lib.earlier('streets_terms', results.earlier)
  lines = ['| run | mIoU |', '|---|---|']
  lines += [_line((row.name, rows_lib.score(row))) for row in found]
  return '\n'.join(lines) + '\n'


def longer(results: Results) -> str:
  """Returns scores by length of the run, where several are stored."""
  text = ''
  for benchmark in plan.benchmarks():
    found = [r for r in results.records if r.job.benchmark == benchmark]
    lengths = sorted({r.job.steps for r in found})
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
      cells = [rows_lib.score(of[s][name]) if name in of[s] else '' for s in of]
      lines.append(_line([name, *cells]))
    text += '\n'.join(lines) + '\n\n'
  nothing = 'No benchmark has stored runs of several lengths yet.'
  return f'{text.strip() or nothing}\n'


def pictures(results: Results) -> dict[str, str]:
  """Returns the plots by the name of their file."""
  found = {}
  for benchmark in plan.benchmarks():
    mine = [r for r in results.records if r.job.benchmark == benchmark]
    found[f'steps_{benchmark}.svg'] = plots.over_steps(mine)
    same = [
      r
      for r in results.of(benchmark, length(benchmark))
      if r.job.config != 'oracle'
    ]
    found[f'criteria_{benchmark}.svg'] = plots.criteria(same)
  return {name: svg for name, svg in found.items() if svg}


def _shown(kind: str, drawn: Mapping[str, str]) -> str:
  """Returns the lines that show the plots of a kind."""
  lines = [
    f'![{name.removesuffix(".svg").replace("_", " ")}](images/{name})'
    for name in drawn
    if name.startswith(kind)
  ]
  return '\n\n'.join(lines) + '\n' if lines else 'No stored runs yet.\n'


def blocks(
  results: Results, drawn: Mapping[str, str]
) -> dict[str, Callable[[], str]]:
  """Returns the functions that write the places of the pages, by name.

  Args:
    results: everything that is stored.
    drawn: of `pictures`.
  """
  return {
    'helps': lambda: helps(results),
    'gains': lambda: gains(results),
    'methods': lambda: methods(results),
    'missing': lambda: missing(results),
    'terms': lambda: terms(results),
    'longer': lambda: longer(results),
    'steps': lambda: _shown('steps_', drawn),
    'criteria': lambda: criteria_tables.table(results.records, length),
    'criteria plots': lambda: _shown('criteria_', drawn),
  }


def filled(page: str, makers: Mapping[str, Callable[[], str]]) -> str:
  """Returns a page with its places written anew.

  Raises:
    ValueError: a place has an unknown name.
  """

  def new(match: re.Match) -> str:
    begin, name, end = match.groups()
    if name not in makers:
      raise ValueError(
        f'<!-- tables: {name} -->: expected one of {sorted(makers)}'
      )
    return f'{begin}\n{makers[name]()}\n{end}'

  return _BLOCK.sub(new, page)


def outputs(results: Results) -> dict[str, str]:
  """Returns the content of every file that the command writes."""
  drawn = pictures(results)
  makers = blocks(results, drawn)
  found = {name: filled((ROOT / name).read_text(), makers) for name in PAGES}
  for benchmark in results.benchmarks():
    text = rows_lib.to_csv(results.rows(benchmark))
    found[f'docs/tables/{benchmark}.csv'] = text
  earlier = rows_lib.earlier('streets_terms', results.earlier)
  if earlier:
    found['docs/tables/streets_terms.csv'] = rows_lib.to_csv(earlier)
  for name, svg in drawn.items():
    found[f'docs/images/{name}'] = svg
  return found


def _line(cells: Sequence[str]) -> str:
  return f'| {" | ".join(cells)} |'


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.reproduce', __doc__)
  result.add_argument_group('tables').add_argument(
    '--check',
    action='store_true',
    help='write nothing; exit code 1 if a file differs',
  )
  return result


def reproduce(args: argparse.Namespace) -> int:
  """Writes the files, or compares them."""
  differing = 0
  for name, text in outputs(Results(records.read_all())).items():
    path = ROOT / name
    if path.exists() and path.read_text() == text:
      continue
    differing += 1
    print(f'{name}: {"differs" if args.check else "written"}')
    if not args.check:
      files.write_atomically(path, text.encode())
  return int(args.check and differing > 0)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), reproduce, argv)


if __name__ == '__main__':
  main()
