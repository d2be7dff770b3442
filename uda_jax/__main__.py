"""Runs a command by its name: `uda_jax train ...`, `python -m uda_jax train`.

  uda_jax train --config=streets/self_training --workdir=DIR

is the same as `python -m uda_jax.main --config=... --workdir=...`.
"""

from __future__ import annotations

from collections.abc import Sequence
import importlib
import sys

import uda_jax

# Name -> (module with `main(argv)`, what it does).
COMMANDS = {
  'train': ('uda_jax.main', 'train a config, or resume its run'),
  'adapt': (
    'uda_jax.adapt.__main__',
    'go from two folders to an adapted network',
  ),
  'check_cluster': (
    'uda_jax.check_cluster',
    'check devices, directory, data and memory of all machines of a run',
  ),
  'configs': (
    'uda_jax.configs.__main__',
    'list configs, print one resolved, or compare two',
  ),
  'evaluate': (
    'uda_jax.evaluate.__main__',
    'score the network of a run, or label files',
  ),
  'predict': (
    'uda_jax.predict.__main__',
    'segment your own images or a video',
  ),
  'submission': (
    'uda_jax.predict.submission',
    'write the archive that a test server takes',
  ),
  'report': (
    'uda_jax.report.__main__',
    'write a page about one or several runs',
  ),
  'export': (
    'uda_jax.export.__main__',
    'write a network as StableHLO and ONNX',
  ),
  'export_weights': (
    'uda_jax.export.weights',
    "write a network's weights as safetensors",
  ),
  'prepare': (
    'uda_jax.data.prepare',
    'check data sets and prepare them for training',
  ),
  'convert_weights': (
    'uda_jax.models.weights.__main__',
    'convert published weights to safetensors',
  ),
  'render_streets': (
    'uda_jax.data.streets.render',
    'draw a sheet of rendered street scenes',
  ),
  'render_town': (
    'uda_jax.data.town.render',
    'draw a sheet of rendered scenes that resemble real streets',
  ),
  'render_cells': (
    'uda_jax.data.cells.render',
    'draw a sheet of rendered cells',
  ),
}


def _overview() -> str:
  """Returns the help text: a line a command."""
  width = max(map(len, COMMANDS))
  lines = [f'  {name:<{width}}  {text}' for name, (_, text) in COMMANDS.items()]
  return '\n'.join(
    [
      'usage: uda_jax COMMAND FLAGS    (or python -m uda_jax COMMAND FLAGS)',
      '',
      *lines,
      '',
      'uda_jax COMMAND --help shows the flags of a command; --version the '
      'version.',
    ]
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command that the first argument names.

  Args:
    argv: without the program's name; None for `sys.argv`.
  """
  name, *rest = (sys.argv[1:] if argv is None else argv) or ['--help']
  if name in ('--help', '-h', 'help'):
    print(_overview())
  elif name == '--version':
    print(f'uda_jax {uda_jax.__version__}')
  elif name.replace('-', '_') in COMMANDS:
    module, _ = COMMANDS[name.replace('-', '_')]
    importlib.import_module(module).main(rest)
  else:
    print(
      f'error: expected a command, one of {", ".join(COMMANDS)}, got {name!r}',
      file=sys.stderr,
    )
    sys.exit(2)


if __name__ == '__main__':
  main()
