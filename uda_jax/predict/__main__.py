"""Segments your own images or a video with a trained network.

  python -m uda_jax.predict --workdir=RUN --images=FOLDER --out=FOLDER

writes for every image, at its own size, `ids/NAME.png` (class ids),
`color/NAME.png` (the classes' colors, named in `legend/legend.png`),
`overlay/NAME.png` (the colors over the image), with --confidence
`confidence/NAME.png` (gray, white = 1) and with --probabilities
`probabilities/NAME.npz` (of each class: `probabilities` [H, W, C] float16, and
`classes`, their names).

  python -m uda_jax.predict --workdir=RUN --images=drive.mp4 --out=drive.webp
  python -m uda_jax.predict --workdir=RUN --images='frames/*.jpg' \\
      --out=drive.mp4 --fps=12 --size=512x1024

writes the overlays as a video. Images are processed as in the run's evaluation:
the same image size, sliding window, scales and mirror images (config.eval).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import math
from typing import Any

from uda_jax import cli
from uda_jax import flag_values


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.predict', __doc__)
  _add_network(result.add_argument_group('network'))
  _add_input_and_output(result.add_argument_group('input and output'))
  return result


def _add_network(group: Any) -> None:
  """Adds the flags of what predicts, and at which size."""
  cli.add_workdir(group)
  cli.add_network(group)
  cli.add_size(
    group,
    "resize images to this size for the network; default: as in the run's "
    'evaluation (config.data.eval_image_size, else target_image_size)',
  )
  group.add_argument(
    '--multiple',
    type=flag_values.at_least(1),
    default=0,
    metavar='N',
    help='round the sides of the images, for the network, to multiples of N: '
    'files of many sizes then need few compilations; default: off',
  )
  group.add_argument(
    '--window',
    type=flag_values.size,
    metavar='HxW',
    help='average overlapping windows of this size; compiled once for images '
    'of all sizes that are not smaller; default: config.eval of the run',
  )
  group.add_argument(
    '--stride',
    type=flag_values.size,
    metavar='HxW',
    help='the steps of --window; default: half of it',
  )
  group.add_argument(
    '--batch_size',
    type=flag_values.at_least(1),
    default=1,
    metavar='N',
    help='images of one size that are predicted together; default: 1',
  )


def _add_input_and_output(group: Any) -> None:
  """Adds the flags of what is read and written."""
  group.add_argument(
    '--images',
    type=flag_values.pattern,
    required=True,
    metavar='PATH',
    help="a folder, a file, a pattern such as 'a/*.jpg', or a video",
  )
  cli.add_out(group, 'the folder for the pictures, or a video to write')
  group.add_argument(
    '--ids',
    choices=('train', 'cityscapes'),
    default='train',
    help='ids in the files of ids/: 0, 1, ... or those of Cityscapes',
  )
  group.add_argument(
    '--confidence',
    action='store_true',
    help='also write the probability of the predicted class',
  )
  group.add_argument(
    '--probabilities',
    action='store_true',
    help='also write the probability of every class',
  )
  group.add_argument(
    '--value_range',
    type=_value_range,
    default=(),
    metavar='LOW,HIGH',
    help='the values of images of more than 8 bits that are black and white; '
    "default: the run's config.data.target.value_range",
  )
  group.add_argument(
    '--fps',
    type=flag_values.above_zero,
    default=0.0,
    metavar='N',
    help="frames per second of a video; default: the input's, 10 for pictures",
  )


def _value_range(text: str) -> tuple[float, float]:
  """Parses LOW,HIGH."""
  try:
    low, high = map(float, text.strip('()').split(','))
  except ValueError:
    low = high = 0.0
  if not -math.inf < low < high < math.inf:
    raise argparse.ArgumentTypeError(
      f'expected LOW,HIGH with LOW < HIGH, such as 0,4095, got {text!r}'
    )
  return low, high


def predict(args: argparse.Namespace) -> None:
  """Predicts all images of the arguments."""
  with cli.hidden_stderr(not args.debug):
    from uda_jax.predict import command

  command.run(args)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), predict, argv)


if __name__ == '__main__':
  main()
