"""Command lines: shared flags and one-line errors.

Imports nothing but the standard library at first, so that `--help` and a typo
answer at once. A command is a module with `main(argv=None)`:

  parser = cli.Parser('uda_jax.predict', __doc__)
  run = parser.add_argument_group('run')
  cli.add_workdir(run)
  cli.run(parser, command, argv)

where `command(args)` imports JAX and TensorFlow.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
import contextlib
import difflib
import io
import os
import re
import sys
import tempfile
from typing import Any, NoReturn

import uda_jax
from uda_jax import flag_values
from uda_jax import logs
from uda_jax import user_code

# As the help shows them.
_OVERRIDES = '--config.FIELD'
_OVERRIDE = re.compile(r'--(no)?config\.')


class Failed(Exception):
  """An error whose message is all that a user needs: no traceback."""


class Parser(argparse.ArgumentParser):
  """A command's flags; `--debug` and `--version` are there already."""

  def __init__(self, module: str, doc: str):
    """Makes the parser of a command.

    Args:
      module: what `python -m` runs.
      doc: the help text, printed as it is.
    """
    super().__init__(
      prog=f'python -m {module}',
      description=doc,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
      add_help=False,
    )
    self.general = self.add_argument_group('general')
    self.general.add_argument(
      '--help', '-h', action='help', help='show this text and exit'
    )
    self.general.add_argument(
      '--version',
      action='version',
      version=f'uda_jax {uda_jax.__version__}',
      help='show the version and exit',
    )
    self.general.add_argument(
      '--debug',
      action='store_true',
      help='show the traceback of an error, and the log lines of TensorFlow, '
      'XLA and JAX',
    )

  def error(self, message: str) -> NoReturn:
    """Ends the program with one line and exit code 2."""
    self.exit(2, f'error: {message} (--help lists all flags)\n')

  def format_help(self) -> str:
    """Lists the general flags last."""
    groups = self._action_groups
    groups.sort(key=lambda group: group is self.general)
    return super().format_help()


def add_config(group: Any, help: str, *, required: bool = True) -> None:
  """Adds `--config=CONFIG` and the overrides of its fields."""
  group.add_argument(
    '--config',
    metavar='CONFIG',
    required=required,
    help=f'{help}; a name such as streets/self_training, or a file',
  )
  add_overrides(group)


def add_overrides(group: Any) -> None:
  """Adds `--config.FIELD=VALUE` to the help; `parse` collects them all."""
  group.add_argument(
    _OVERRIDES,
    metavar='VALUE',
    help='another value for a field of the config, such as '
    "--config.steps=2000 or --config.data.crop_size='(256, 256)'",
  )


def add_workdir(
  group: Any, help: str = 'the directory of the run', *, required: bool = True
) -> None:
  """Adds `--workdir=DIR`."""
  group.add_argument(
    '--workdir',
    metavar='DIR',
    type=flag_values.path,
    required=required,
    help=help,
  )


def add_network(group: Any) -> None:
  """Adds `--network=NAME`."""
  group.add_argument(
    '--network',
    default='',
    choices=('student', 'teacher', 'best'),
    help='default: the one that the run reports (config.eval: network, '
    'checkpoint)',
  )

  user_code.add_flag(group)


def add_out(group: Any, help: str, *, required: bool = True) -> None:
  """Adds `--out=PATH`."""
  group.add_argument(
    '--out', metavar='PATH', type=flag_values.path, required=required, help=help
  )


def add_seed(group: Any, help: str) -> None:
  """Adds `--seed=N`."""
  group.add_argument(
    '--seed', type=flag_values.at_least(0), default=0, metavar='N', help=help
  )


def add_size(group: Any, help: str) -> None:
  """Adds `--size=HEIGHTxWIDTH`."""
  group.add_argument('--size', type=flag_values.size, metavar='HxW', help=help)


def _underscores(option: str) -> str:
  """Spells `--batch-size=4` as `--batch_size=4`."""
  if not option.startswith('--') or _OVERRIDE.match(option):
    return option
  name, mark, value = option.partition('=')
  return '--' + name[2:].replace('-', '_') + mark + value


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
  """Separates flags from overrides, which become one item each."""
  options, overrides = [], []
  rest = list(argv)
  while rest:
    option = rest.pop(0)
    if not _OVERRIDE.match(option):
      options.append(_underscores(option))
      continue
    if '=' not in option and rest and not rest[0].startswith('--'):
      option = f'{option}={rest.pop(0)}'
    overrides.append(option)
  return options, overrides


def parse(
  parser: Parser, argv: Sequence[str] | None = None
) -> argparse.Namespace:
  """Parses a command line; wrong flags end the program with one line.

  Args:
    parser: the command's.
    argv: without the program's name; None for `sys.argv`.

  Returns:
    The arguments; `overrides` holds the options `--config.FIELD=VALUE`, in
    order, for `configs.overrides.apply`.
  """
  options, overrides = _split(sys.argv[1:] if argv is None else argv)
  known = [name for action in parser._actions for name in action.option_strings]
  args, unknown = parser.parse_known_args(options)
  if overrides and _OVERRIDES not in known:
    unknown.append(overrides[0])
  if unknown and unknown[0].startswith('-'):
    name = unknown[0].partition('=')[0]
    parser.error(f'{name}: there is no such flag{_nearest(name, known)}')
  if unknown:
    parser.error(f'expected flags --NAME=VALUE, got {unknown[0]!r}')
  args.overrides = overrides
  return args


def _nearest(name: str, known: Sequence[str]) -> str:
  """Returns '; did you mean ...?', or '' if nothing is near."""
  near = difflib.get_close_matches(name, known, cutoff=0.7)
  return f'; did you mean {" or ".join(near)}?' if near else ''


@contextlib.contextmanager
def hidden_stderr(hide: bool = True) -> Iterator[None]:
  """Hides what is written to stderr inside, unless an exception comes out.

  Around the import of TensorFlow, whose first lines no setting silences.
  """
  if not hide:
    yield
    return
  sys.stderr.flush()
  shown = os.dup(2)
  with tempfile.TemporaryFile() as hidden:
    os.dup2(hidden.fileno(), 2)
    try:
      yield
    except BaseException:
      hidden.seek(0)
      os.write(shown, hidden.read())
      raise
    finally:
      sys.stderr.flush()
      os.dup2(shown, 2)
      os.close(shown)


def run(
  parser: Parser,
  command: Callable[[argparse.Namespace], int | None],
  argv: Sequence[str] | None = None,
) -> None:
  """Runs a command; an error is one line on stderr and exit code 1.

  Args:
    parser: the command's flags.
    command: does the work; returns its exit code, None for 0.
    argv: see `parse`.
  """
  args = parse(parser, argv)
  if not args.debug:
    logs.quiet()
  logs.show(args.debug)
  if isinstance(sys.stdout, io.TextIOWrapper):
    # Names of files are bytes, which need not be UTF-8.
    sys.stdout.reconfigure(errors='backslashreplace')
  try:
    user_code.execute(getattr(args, 'imports', ()))
    code = command(args)
  except ModuleNotFoundError as error:
    if args.debug:
      raise
    # Without extras the installation is that of notebooks.
    print(
      f"error: {error}; commands need: pip install 'uda_jax[train]'",
      file=sys.stderr,
    )
    sys.exit(1)
  except (ValueError, OSError, ImportError, Failed) as error:
    if args.debug:
      raise
    raise SystemExit(f'error: {error}') from error  # printed, exit code 1
  except RuntimeError as error:
    # Of JAX, which is not imported here.
    if args.debug or 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    raise SystemExit(
      f'error: a device is out of memory ({str(error).splitlines()[0]}); '
      'docs/methods.md, "Out of memory", lists what needs less'
    ) from error
  except KeyboardInterrupt:
    if args.debug:
      raise
    print('interrupted', file=sys.stderr)
    sys.exit(130)
  if code:
    sys.exit(code)
