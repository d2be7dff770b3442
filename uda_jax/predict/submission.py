"""Writes the archive that a benchmark's test server takes, from a run.

  python -m uda_jax.predict.submission --workdir=RUN --dataset=acdc \\
      --images='DATA/acdc/rgb_anon/*/test/*/*_rgb_anon.png' --out=acdc.zip

--dataset is acdc (acdc.vision.ee.ethz.ch/submit), dark_zurich
(codalab.lisn.upsaclay.fr/competitions/3783) or cityscapes
(cityscapes-dataset.com/submit). The images must be those of its test split,
each once: their number, names and sizes are checked before anything is
predicted. The network sees them as the run's evaluation does (config.eval).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from uda_jax import cli
from uda_jax import flag_values


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.predict.submission', __doc__)
  group = result.add_argument_group('network')
  cli.add_workdir(group)
  cli.add_network(group)
  group = result.add_argument_group('input and output')
  group.add_argument(
    '--dataset',
    choices=('acdc', 'dark_zurich', 'cityscapes'),
    required=True,
    help='whose test server',
  )
  group.add_argument(
    '--images',
    type=flag_values.pattern,
    required=True,
    metavar='PATH',
    help="the test split: a folder, or a pattern such as 'a/*/*.png'",
  )
  cli.add_out(group, 'the archive, .zip')
  return result


def submit(args: argparse.Namespace) -> None:
  """Writes the archive of the arguments."""
  with cli.hidden_stderr(not args.debug):
    from uda_jax.predict import archive

  archive.run(args)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), submit, argv)


if __name__ == '__main__':
  main()
