"""The arguments of a command from Python values, for calls without a shell."""

from __future__ import annotations

import argparse
import os
from typing import Any

from uda_jax import cli


def arguments(parser: cli.Parser, **values: Any) -> argparse.Namespace:
  """Returns the arguments of a command; flags that are not given by default.

  Args:
    parser: of the command.
    **values: by the names of its flags; a text is parsed as on the command line
      (`size='512x1024'`), any other value is taken as it is.

  Raises:
    TypeError: there is no such flag.
    ValueError: one is missing or has another value than it may.
  """
  actions = {action.dest: action for action in parser._actions}
  result = argparse.Namespace(overrides=[], debug=False)
  for name, action in actions.items():
    if action.default is not argparse.SUPPRESS and '.' not in name:
      setattr(result, name, action.default)
    if action.required and values.get(name) is None:
      raise ValueError(f'{name}: expected a value, got none')
  for name, value in values.items():
    if name not in actions:
      raise TypeError(f'{name}: there is no such argument of {parser.prog}')
    action = actions[name]
    if isinstance(value, str | os.PathLike) and callable(action.type):
      try:
        value = action.type(os.fspath(value))
      except argparse.ArgumentTypeError as error:
        raise ValueError(f'{name}: {error}') from error
    if action.choices is not None and value not in (*action.choices, ''):
      raise ValueError(
        f'{name}: expected one of {tuple(action.choices)}, got {value!r}'
      )
    setattr(result, name, value)
  return result
