"""Lists the configs, prints one resolved, or the difference of two.

  python -m uda_jax.configs
  python -m uda_jax.configs streets/pipa
  python -m uda_jax.configs streets/pipa --config.steps=200
  python -m uda_jax.configs streets/pipa --diff streets/self_training

A line `data.crop_size = (96, 192)` is set in every command by
--config.data.crop_size="(96, 192)".
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
import os
import pathlib
import sys

from uda_jax import cli
from uda_jax import configs
from uda_jax.configs import overrides
from uda_jax.configs import resolved


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.configs', __doc__)
  group = result.add_argument_group('configs')
  group.add_argument(
    'config',
    nargs='?',
    metavar='CONFIG',
    help='name (streets/pipa) or path of a Python file; default: list all',
  )
  cli.add_overrides(group)
  group.add_argument(
    '--diff',
    metavar='OTHER',
    help='print the fields in which CONFIG (+) differs from this config (-)',
  )
  group.add_argument(
    '--write',
    action='store_true',
    help='write configs/resolved/, the resolved configs of a checkout',
  )
  return result


def summaries() -> list[str]:
  """Returns a line for each config: name, first line of the docstring."""
  paths = configs.paths()
  width = max(map(len, paths))
  return [
    f'{name:<{width}}  {_first_line(path)}' for name, path in paths.items()
  ]


def _first_line(path: pathlib.Path) -> str:
  doc = ast.get_docstring(ast.parse(path.read_text())) or ''
  return doc.partition('\n')[0]


def show(args: argparse.Namespace) -> None:
  """Prints what the arguments ask for."""
  try:
    print('\n'.join(_lines(args)), flush=True)
  except BrokenPipeError:
    # `head` or `less` has seen enough; Python would write the rest at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _lines(args: argparse.Namespace) -> list[str]:
  if args.write:
    changed = [f'wrote {path}' for path in resolved.write()]
    return changed or [f'{resolved.folder()} is up to date']
  if not args.config:
    if args.diff or args.overrides:
      raise ValueError('expected CONFIG, such as streets/pipa')
    return summaries()
  config = overrides.apply(configs.load(args.config), args.overrides)
  if args.diff:
    return resolved.difference(configs.load(args.diff), config)
  return resolved.lines(resolved.as_text(config))


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), show, argv)


if __name__ == '__main__':
  main()
