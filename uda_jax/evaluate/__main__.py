"""Scores the network of a run on a labeled split, or label files.

Score a run; writes results.json, results.csv (a row for each class and mean)
and results.txt:

  python -m uda_jax.evaluate --workdir=RUN --out=FOLDER
  python -m uda_jax.evaluate --workdir=RUN --out=FOLDER --network=teacher \\
      --scales=0.75,1,1.25 --flip
  python -m uda_jax.evaluate --workdir=RUN --out=FOLDER \\
      --config=gta5_to_cityscapes/daformer --config.data.root=/data

The split is config.data.evaluation of the run, or of --config. Scales, mirror
images and the sliding window are those of its config.eval.

Score label files as the official Cityscapes evaluation does, or label files of
any classes:

  python -m uda_jax.evaluate --predictions=FOLDER --labels=gtFine/val
  python -m uda_jax.evaluate --predictions=FOLDER --labels=FOLDER \\
      --ids=train --classes=road,sky,car --out=scores.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from uda_jax import cli
from uda_jax import files
from uda_jax import flag_values

_RUN_FLAGS = ('network', 'scales', 'flip', 'config')
_FILE_FLAGS = ('labels', 'ids', 'classes')


def parser() -> cli.Parser:
  """Returns the flags of both modes."""
  result = cli.Parser('uda_jax.evaluate', __doc__)
  _add_run(result.add_argument_group('score a run'))
  _add_files(result.add_argument_group('score label files'))
  cli.add_out(
    result.add_argument_group('results'),
    'of a run: the folder to write to (required); of label files: the JSON '
    'file to write',
    required=False,
  )
  return result


def _add_run(group: argparse._ArgumentGroup) -> None:
  cli.add_workdir(group, required=False)
  cli.add_network(group)
  group.add_argument(
    '--scales',
    type=_scales,
    metavar='S,S,...',
    help='average over these factors of the image size; default: config.eval',
  )
  group.add_argument(
    '--flip', action='store_true', help='average over mirrored images, too'
  )
  cli.add_config(
    group, "the data to score on; default: the run's", required=False
  )


def _add_files(group: argparse._ArgumentGroup) -> None:
  group.add_argument(
    '--predictions',
    type=flag_values.path,
    metavar='FOLDER',
    help='PNG files of ids, searched recursively',
  )
  group.add_argument(
    '--labels',
    type=flag_values.path,
    metavar='FOLDER',
    help='the true ones: gtFine/val for --ids=cityscapes, else PNG files of '
    'the same names',
  )
  group.add_argument(
    '--ids',
    choices=('cityscapes', 'train'),
    help='cityscapes: label ids 0..33; train: classes 0, 1, ... and 255 = '
    'ignore; default: what predict wrote into ids.json, else cityscapes',
  )
  group.add_argument(
    '--classes',
    type=flag_values.names,
    metavar='NAME,NAME,...',
    help='names of the classes for --ids=train; default: those in ids.json, '
    'else numbers',
  )


def _scales(text: str) -> tuple[float, ...]:
  try:
    return tuple(map(float, text.split(',')))
  except ValueError:
    raise argparse.ArgumentTypeError(
      f'expected numbers with commas, such as 0.75,1, got {text!r}'
    ) from None


def score(args: argparse.Namespace, config: Any = None) -> dict[str, dict]:
  """Scores a run; returns the reports by row.

  Args:
    args: the arguments.
    config: a ConfigDict that says what is scored and how; None: as they say.
  """
  if not args.out:
    raise ValueError('--out: expected a folder for the results, got none')
  same = args.out.resolve() == args.workdir.resolve()
  if same or (args.out / 'manifest.json').exists():
    raise ValueError(
      f'--out: expected another folder than that of a run, {args.out}, whose '
      'results.json is that of the training'
    )
  files.check_out(args.out, folder=True)
  from uda_jax.evaluate import settings

  config = settings.read(args) if config is None else config
  with cli.hidden_stderr(not args.debug):
    from uda_jax.evaluate import command  # and TensorFlow

  return command.run(args, config)


def _check_mode(args: argparse.Namespace) -> None:
  """Raises ValueError for a flag of the other mode, which would do nothing."""
  mode = '--workdir' if args.workdir else '--predictions'
  other: Sequence[str] = _FILE_FLAGS if args.workdir else _RUN_FLAGS
  found = [f'--{name}' for name in other if getattr(args, name)]
  found += args.overrides if mode == '--predictions' else []
  if found:
    way = '--workdir' if mode == '--predictions' else '--predictions'
    raise ValueError(
      f'{found[0]}: not used with {mode}, expected none; it goes with {way}'
    )


def evaluate(args: argparse.Namespace) -> None:
  """Scores what the arguments name and prints the table and its notes."""
  if bool(args.workdir) == bool(args.predictions):
    raise ValueError(
      'expected --workdir to score a run or --predictions to score label '
      f'files, got {"both" if args.workdir else "neither"}'
    )
  _check_mode(args)
  if args.workdir:
    score(args)
    # The table, and what was scored how.
    print((args.out / 'results.txt').read_text(), end='')
    return
  if not args.labels:
    raise ValueError('--labels: expected the folder of true labels, got none')
  if args.out:
    files.check_out(args.out, folder=False)
  from uda_jax.evaluate import files as label_files

  print(label_files.run(args))


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), evaluate, argv)


if __name__ == '__main__':
  main()
