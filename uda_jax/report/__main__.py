"""Writes a page about one or several runs.

  python -m uda_jax.report RUN --out=report.html
  python -m uda_jax.report runs/source_only runs/adapted --out=report.html

The page is one HTML file that needs no network: what each run is, scores by
class side by side, curves, confusion matrices, pictures, criteria without
labels, and what was skipped or is missing. A run may still be training.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from uda_jax import cli
from uda_jax import flag_values


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.report', __doc__)
  group = result.add_argument_group('report')
  group.add_argument(
    'runs',
    nargs='+',
    type=flag_values.path,
    metavar='RUN',
    help='directories of runs; the order is that of the page',
  )
  cli.add_out(group, 'the HTML file to write')
  return result


def report(args: argparse.Namespace) -> None:
  """Writes the page and prints its address."""
  with cli.hidden_stderr(not args.debug):
    from uda_jax.report import page  # and TensorFlow

    address = page.write(args.runs, args.out)
  print(address)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), report, argv)


if __name__ == '__main__':
  main()
