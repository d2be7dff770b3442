"""From two folders to an adapted network.

  python -m uda_jax.adapt --source=A/images --source_labels=A/labels \\
      --target=B/images --out=RUN

looks at the folders, shows what it found, and writes RUN/config.py, a config as
a person writes one. Then it trains on the source alone and on both, chooses
between the networks by their predictions on the unlabeled target, predicts the
target images, exports the network, and writes a page. It asks nothing: every
choice is printed with its reason and the flag that changes it.

  RUN/found/         labels over images, with a legend: look at them
  RUN/config.py      the config; also for python -m uda_jax.main
  RUN/source_only/   RUN/adapted/     the two runs
  RUN/predictions/   ids/, color/ and overlay/ of the target images
  RUN/exported/      network.stablehlo, network.safetensors
  RUN/results.txt    RUN/report.html

The same command goes on after a stop, and repeats no finished stage. With
--dry_run it ends before training; config.py may be edited then.

Exit codes: 0 done; 1 an error (one line says which); 2 wrong flags; 75 stopped
by SIGTERM or SIGHUP, or 130 by Ctrl-C, with everything saved: the same command
goes on; 74 the directory is gone, full or cannot be written.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from uda_jax import cli
from uda_jax import flag_values
from uda_jax.train import interrupts

_ENDED = 'stopped; the same command goes on'


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.adapt', __doc__)
  _add_folders(result.add_argument_group('folders'))
  _add_labels(result.add_argument_group('label files'))
  _add_run(result.add_argument_group('run'))
  return result


def _add_folders(group) -> None:
  pattern = "; a folder, or a pattern such as 'A/*/*_rgb.png'"
  group.add_argument(
    '--source',
    metavar='PATH',
    type=flag_values.given,
    required=True,
    help=f'images with labels{pattern}',
  )
  group.add_argument(
    '--source_labels',
    metavar='PATH',
    type=flag_values.given,
    required=True,
    help='their labels, paired by file names: equal ones, or ones that differ '
    'by a fixed beginning or end',
  )
  group.add_argument(
    '--target',
    metavar='PATH',
    type=flag_values.given,
    required=True,
    help='images without labels, to adapt to',
  )
  cli.add_out(group, 'the directory for everything')
  group.add_argument(
    '--target_labels',
    metavar='PATH',
    default='',
    help='labels of target images: for scores alone, never for training or '
    'selection',
  )
  group.add_argument(
    '--test',
    metavar='PATH',
    default='',
    help='the images that --target_labels belong to; default: --target',
  )


def _add_labels(group) -> None:
  group.add_argument(
    '--classes',
    metavar='FILE',
    type=flag_values.path,
    help='text, CSV or JSON with a class a line: NAME, ID NAME, R G B NAME, or '
    'ID NAME R G B; docs/adapt.md has all forms. Default: classes.txt and the '
    'like beside the labels, or no names',
  )
  group.add_argument(
    '--ignore',
    metavar='VALUE,...',
    type=_values,
    help="ids or colors of no class, such as 255 or '#000000', or none; "
    'default: 255, and classes that are named void',
  )
  group.add_argument(
    '--look',
    metavar='N',
    type=flag_values.at_least(0),
    default=400,
    help='label files to look at, 0: all; default: 400. Training looks at all',
  )


def _add_run(group) -> None:
  group.add_argument(
    '--minutes',
    metavar='N',
    type=flag_values.above_zero,
    help='fit everything into so many minutes, as measured on the first steps',
  )
  group.add_argument(
    '--steps',
    metavar='N',
    type=flag_values.at_least(1),
    help='of each of the two runs; default: as --minutes allow, or 800 on a '
    'CPU and 4000 elsewhere',
  )
  cli.add_size(group, 'resize images to fit into this size')
  group.add_argument(
    '--crop', type=flag_values.size, metavar='HxW', help='of training images'
  )
  group.add_argument(
    '--network',
    default='',
    choices=('efficientnet_lite0', 'compact'),
    help='default: EfficientNet-Lite0 if its ImageNet weights are installed',
  )
  group.add_argument(
    '--predict',
    metavar='N',
    type=flag_values.at_least(1),
    help='target images to predict; default: all, or as --minutes allow',
  )
  cli.add_seed(group, 'default: 0')
  group.add_argument(
    '--dry_run',
    action='store_true',
    help='look, show and write the config, and end before training',
  )


def _values(text: str):
  from uda_jax.adapt import label_values

  try:
    return label_values.parse(text)
  except ValueError as error:
    raise argparse.ArgumentTypeError(
      f'expected ids or colors such as 255,#000000, or none, got {text!r}'
    ) from error


def adapt(args: argparse.Namespace) -> None:
  """Runs the command."""
  if args.minutes and args.steps:
    raise ValueError('--minutes, --steps: expected one of them, got both')
  with interrupts.Interrupts(command=True, ended=_ENDED):
    from uda_jax.adapt import command

    command.run(args)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), adapt, argv)


if __name__ == '__main__':
  main()
