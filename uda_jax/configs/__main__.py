"""Lists the configs, prints one resolved, or the difference of two.

  python -m uda_jax.configs
  python -m uda_jax.configs streets/pipa
  python -m uda_jax.configs streets/pipa --diff streets/self_training

A line `data.crop_size = (96, 192)` is set in every command by
--config.data.crop_size="(96, 192)".
"""

from __future__ import annotations

import argparse
import ast
import pathlib
import sys

from uda_jax import configs
from uda_jax.configs import resolved


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m uda_jax.configs',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    usage='%(prog)s [CONFIG [--diff OTHER]]',
    allow_abbrev=False,
  )
  parser.add_argument(
    'config',
    nargs='?',
    metavar='CONFIG',
    help='name (streets/pipa) or path of a Python file; default: list all',
  )
  parser.add_argument(
    '--diff',
    metavar='OTHER',
    help='print the fields in which CONFIG (+) differs from this config (-)',
  )
  parser.add_argument(
    '--write',
    action='store_true',
    help='write configs/resolved/, the resolved configs of a checkout',
  )
  return parser


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


def run(args: argparse.Namespace) -> list[str]:
  """Returns the lines to print."""
  if args.write:
    return [f'wrote {path}' for path in resolved.write()]
  if not args.config:
    if args.diff:
      raise ValueError('expected CONFIG, such as streets/pipa')
    return summaries()
  config = configs.load(args.config)
  if args.diff:
    return resolved.difference(configs.load(args.diff), config)
  return resolved.lines(resolved.as_text(config))


def main() -> None:
  """Parses the arguments and prints; an error is one line."""
  args = _parser().parse_args()
  try:
    print('\n'.join(run(args)))
  except ValueError as error:
    sys.exit(f'error: {error}')


if __name__ == '__main__':
  main()
