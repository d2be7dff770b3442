"""Checks golden vectors: `python -m tests.golden DIR [--method M]`.

DIR holds one folder a method. One line a file: the largest absolute and
relative difference, and PASS, FAIL or NO CHECK. Files without a check are no
success: the exit status is 0 only if every file passes.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import sys

from tests.golden_checks import runner

DTYPES = ('float64', 'float32')


def _verdict(name: str, path: pathlib.Path, dtypes: tuple[str, ...]) -> str:
  """Runs one file, prints its line, returns its verdict."""
  check = runner.find(name)
  if check is None:
    print(f'NO CHECK  {name}', flush=True)
    return 'NO CHECK'
  results = {dtype: runner.run(check, path, dtype) for dtype in dtypes}
  problems = [
    f'{dtype}: {r.problem}' for dtype, r in results.items() if r.problem
  ]
  verdict = 'FAIL' if problems else 'PASS'
  numbers = '  '.join(
    f'{dtype} {r.absolute:.1e} abs {r.relative:.1e} rel'
    for dtype, r in results.items()
  )
  text = ' '.join('; '.join(problems).split())
  print(f'{verdict:8}  {name:42}  {numbers}  {text}'.rstrip(), flush=True)
  return verdict


def _verdicts(
  items: dict[str, pathlib.Path], dtypes: tuple[str, ...]
) -> dict[str, str]:
  """Runs all files; those that another file's check reads share its verdict."""
  verdicts = {
    name: _verdict(name, path, dtypes)
    for name, path in items.items()
    if runner.subject(name) == name
  }
  for name in sorted(items.keys() - verdicts.keys()):
    subject = runner.subject(name)
    verdicts[name] = verdicts.get(subject, 'FAIL')
    print(
      f'{verdicts[name]:8}  {name:42}  read with {subject}'
      + ('' if subject in items else ', which is missing'),
      flush=True,
    )
  return verdicts


def main(arguments: list[str] | None = None) -> int:
  """Returns the exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m tests.golden', description=__doc__.split('\n')[0]
  )
  parser.add_argument('folder', type=pathlib.Path, metavar='DIR')
  parser.add_argument('--method', help='only this folder of DIR')
  parser.add_argument(
    '--dtype', choices=DTYPES, help='only this precision (default: both)'
  )
  flags = parser.parse_args(arguments)
  dtypes = (flags.dtype,) if flags.dtype else DTYPES
  try:
    items = dict(runner.items(flags.folder, flags.method))
  except FileNotFoundError as error:
    parser.error(str(error))
  counts = collections.Counter(_verdicts(items, dtypes).values())
  print(', '.join(f'{counts[v]} {v}' for v in ('PASS', 'FAIL', 'NO CHECK')))
  return 0 if items and counts['PASS'] == len(items) else 1


if __name__ == '__main__':
  sys.exit(main())
