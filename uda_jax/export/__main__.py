"""Writes a run's network as a file that runs without this library.

  python -m uda_jax.export --workdir=RUN --out=FOLDER --size=512x1024
  python -m uda_jax.export --workdir=RUN --out=FOLDER --network=best --onnx

writes `network.stablehlo` (StableHLO as `jax.export` serializes it, for CPU,
CUDA and TPU), with --onnx `network.onnx`, and beside them `network.json`, which
describes them, and README.md, whose code segments a photo of any size without
this library (with segment.py, numpy and Pillow). A file takes RGB pixels
[B, H, W, 3] uint8 and gives `ids` [B, H, W] int32 and `logits` [B, H, W, C]
float32. The preprocessing and the sliding window of the run's evaluation are
inside; its scales and mirror images (config.eval) are not, network.json lists
them. Each file is compared with the network before it gets its name.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from uda_jax import cli
from uda_jax import flag_values


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.export', __doc__)
  group = result.add_argument_group('network')
  cli.add_workdir(group)
  cli.add_network(group)
  cli.add_size(
    group,
    'size of the images; default: config.data.eval_image_size of the run',
  )
  group.add_argument(
    '--batch_size',
    type=flag_values.at_least(0),
    default=1,
    metavar='N',
    help='number of images; 0: any (StableHLO alone); default: 1',
  )
  group = result.add_argument_group('files')
  cli.add_out(group, 'the folder for the files')
  group.add_argument(
    '--onnx', action='store_true', help='also write ONNX (needs jax2onnx)'
  )
  return result


def export(args: argparse.Namespace) -> None:
  """Writes and checks the files, and prints their differences."""
  with cli.hidden_stderr(not args.debug):
    from uda_jax.export import command

  print('\n'.join(command.run(args)))


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), export, argv)


if __name__ == '__main__':
  main()
