"""Segments your own images or a video with a trained network.

  python -m uda_jax.predict --workdir=RUN --images=FOLDER --out=FOLDER

writes for every image, at its own size, `ids/NAME.png` (class ids),
`color/NAME.png` (the classes' colors, named in `legend/legend.png`),
`overlay/NAME.png` (the colors over the image) and with --confidence
`confidence/NAME.png` (gray, white = 1).

  python -m uda_jax.predict --workdir=RUN --images=drive.mp4 --out=drive.webp
  python -m uda_jax.predict --workdir=RUN --images='frames/*.jpg' \\
      --out=drive.mp4 --fps=12 --size=512x1024

writes the overlays as a video. Images are processed as in the run's evaluation:
the same image size, sliding window, scales and mirror images (config.eval).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os

from uda_jax import cli


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.predict', __doc__)
  group = result.add_argument_group('network')
  cli.add_workdir(group)
  cli.add_network(group)
  cli.add_size(
    group,
    'resize images to this size for the network; default: '
    'config.data.eval_image_size of the run, or their own size',
  )
  group.add_argument(
    '--batch_size',
    type=cli.at_least(1),
    default=1,
    metavar='N',
    help='images of one size that are predicted together; default: 1',
  )
  group = result.add_argument_group('input and output')
  group.add_argument(
    '--images',
    type=os.path.expanduser,
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
    '--fps',
    type=float,
    default=0.0,
    metavar='N',
    help="frames per second of a video; default: the input's, 10 for pictures",
  )
  return result


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
