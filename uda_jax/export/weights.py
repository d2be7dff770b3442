"""Writes a network of a run as safetensors, with its authors' tensor names.

  python -m uda_jax.export.weights --workdir=RUN --out=teacher.safetensors \\
      --network=teacher
  python -m uda_jax.export.weights --workdir=RUN --push=OWNER/NAME
  python -m uda_jax.export.weights --workdir=RUN --delta --out=FOLDER

The tensors have the names of the network's own PyTorch code, or of another
library's (docs/weights.md). FILE.json beside the file records its origin.

--delta writes what a run with adapters trained alone, a small file; with the
run's base.safetensors in FOLDER, or in the one above it, FOLDER stands where
the directory of the run does. Without --delta, adapters are part of the
weights.

--push publishes the network on the Hugging Face hub, in a private repository
that is made if need be: weights, config and a page with data and scores. It
then stands where the directory of a run does: --workdir=hf://OWNER/NAME.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from uda_jax import cli
from uda_jax import files


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.export.weights', __doc__)
  group = result.add_argument_group('network')
  cli.add_workdir(group)
  cli.add_network(group)
  group = result.add_argument_group('file')
  cli.add_out(
    group, 'the .safetensors file, or the folder, to write', required=False
  )
  group.add_argument(
    '--spelling',
    default='',
    metavar='NAME',
    help="naming convention of the tensors; default: the network's authors'",
  )
  group.add_argument(
    '--delta',
    action='store_true',
    help='a folder with what a run with adapters trained, without its base',
  )
  group = result.add_argument_group('hub', "needs: pip install 'uda_jax[hub]'")
  group.add_argument(
    '--push',
    default='',
    metavar='OWNER/NAME',
    help='the repository; the account is that of `hf auth login` or HF_TOKEN',
  )
  group.add_argument(
    '--public', action='store_true', help='everybody may see the repository'
  )
  return result


def export(args: argparse.Namespace) -> None:
  """Writes the file or publishes it, and prints what was written."""
  if bool(args.out) == bool(args.push):
    raise ValueError(
      'expected --out to write a file or --push to publish, got '
      f'{"both" if args.out else "neither"}'
    )
  if args.public and not args.push:
    raise ValueError(
      '--public: expected --push with it, which makes the repository, got none'
    )
  if args.spelling and (args.push or args.delta):
    raise ValueError(
      '--spelling: expected none with --push or --delta, whose tensors have '
      f'the names of the network, got {args.spelling!r}'
    )
  if args.push and args.delta:
    raise ValueError(
      '--delta: expected --out=FOLDER, got --push, which publishes a whole '
      'network'
    )
  if args.out:
    files.check_out(args.out, folder=args.delta)
  with cli.hidden_stderr(not args.debug):
    from uda_jax.export import delta_file
    from uda_jax.export import hub
    from uda_jax.export import weights_file

  if args.push:
    address = hub.push(
      args.workdir, args.network, args.push, public=args.public
    )
    print(f'published {address}')
    return
  if args.delta:
    count, base = delta_file.write(args.workdir, args.network, args.out)
    print(
      f'wrote {count} arrays to {args.out}; copy or link {base} into it, or '
      'into the folder above'
    )
    return
  count = weights_file.write(
    args.workdir, args.network, args.out, spelling=args.spelling
  )
  print(f'wrote {count} tensors to {args.out} and {args.out.name}.json')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), export, argv)


if __name__ == '__main__':
  main()
