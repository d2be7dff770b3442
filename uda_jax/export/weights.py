"""Writes a network of a run as safetensors, with its authors' tensor names.

  python -m uda_jax.export.weights --workdir=RUN --out=teacher.safetensors \\
      --network=teacher

The tensors have the names of the network's own PyTorch code, or of another
library's (docs/weights.md). FILE.json beside the file records its origin.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from uda_jax import cli


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.export.weights', __doc__)
  group = result.add_argument_group('network')
  cli.add_workdir(group)
  cli.add_network(group)
  group = result.add_argument_group('file')
  cli.add_out(group, 'the .safetensors file to write')
  group.add_argument(
    '--spelling',
    default='',
    metavar='NAME',
    help="naming convention of the tensors; default: the network's authors'",
  )
  return result


def export(args: argparse.Namespace) -> None:
  """Writes the file and prints what it holds."""
  with cli.hidden_stderr(not args.debug):
    from uda_jax.export import weights_file

  count = weights_file.write(
    args.workdir, args.network, args.out, spelling=args.spelling
  )
  print(f'wrote {count} tensors to {args.out} and {args.out.name}.json')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), export, argv)


if __name__ == '__main__':
  main()
