"""Writes the tables and plots of docs/reproduce.md from stored files alone.

  python -m benchmarks.reproduce
  python -m benchmarks.reproduce --check

It trains nothing and needs no data: benchmarks/results holds the counts of
every image of every stored run, and the tables of ablations. The places in the
pages are marked `<!-- tables: NAME -->` to `<!-- end -->`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
import pathlib
import re

from benchmarks import ablation_tables
from benchmarks import criteria_tables
from benchmarks import plan
from benchmarks import plots
from benchmarks import records
from benchmarks import rows as rows_lib
from benchmarks import score_tables
from uda_jax import cli
from uda_jax import files

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ('docs/reproduce.md', 'docs/ablations.md')
_BLOCK = re.compile(
  r'(<!-- tables: ([\w ]+) -->\n).*?(<!-- end -->)', flags=re.DOTALL
)


def pictures(results: rows_lib.Results) -> dict[str, str]:
  """Returns the plots by the name of their file."""
  found = {}
  for benchmark in plan.benchmarks():
    mine = [r for r in results.records if r.job.benchmark == benchmark]
    found[f'steps_{benchmark}.svg'] = plots.over_steps(mine)
    same = [
      r
      for r in results.of(benchmark, rows_lib.length(benchmark))
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
  results: rows_lib.Results,
  tests: score_tables.Tested,
  drawn: Mapping[str, str],
) -> dict[str, Callable[[], str]]:
  """Returns the functions that write the places of the pages, by name.

  Args:
    results: everything that is stored.
    tests: of `score_tables.tested`.
    drawn: of `pictures`.
  """
  return {
    'helps': lambda: score_tables.helps(results),
    'methods': lambda: score_tables.methods(results, tests),
    'missing': lambda: score_tables.missing(results),
    'terms': ablation_tables.terms,
    'class balance': lambda: ablation_tables.class_balance(
      {name: results.rows(name) for name in results.benchmarks()}
    ),
    'longer': lambda: score_tables.longer(results),
    'steps': lambda: _shown('steps_', drawn),
    'criteria': lambda: criteria_tables.table(results.records, rows_lib.length),
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


def outputs(results: rows_lib.Results) -> dict[str, str]:
  """Returns the content of every file that the command writes."""
  tests, drawn = score_tables.tested(results), pictures(results)
  makers = blocks(results, tests, drawn)
  found = {name: filled((ROOT / name).read_text(), makers) for name in PAGES}
  for benchmark in results.benchmarks():
    text = rows_lib.to_csv(results.rows(benchmark))
    found[f'docs/tables/{benchmark}.csv'] = text
  found['docs/tables/tests.csv'] = score_tables.tests_csv(tests)
  for name, svg in drawn.items():
    found[f'docs/images/{name}'] = svg
  return found


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
  for name, text in outputs(rows_lib.Results(records.read_all())).items():
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
