"""Patterns of `config.optim` that choose parameters by their path.

A pattern is a regular expression that is searched in paths such as
'head/conv1/kernel'; of several rows the first that matches counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import difflib
import re
from typing import Any

import jax

from uda_jax import types

PyTree = types.PyTree


def path_tree(params: PyTree) -> PyTree:
  """Returns a tree of the parameters' paths, such as 'head/conv1/kernel'."""
  return jax.tree_util.tree_map_with_path(
    lambda path, _: jax.tree_util.keystr(path, simple=True, separator='/'),
    params,
  )


def match(params: PyTree, table: tuple[tuple, ...], default):
  """Returns a tree with, for each parameter, the first matching row's value.

  Args:
    params: tree of parameters.
    table: rows (regular expression, value); searched in a parameter's path.
    default: value of a parameter that no row matches.
  """

  def first(path):
    for pattern, value in table:
      if re.search(pattern, path):
        return value
    return default

  return jax.tree.map(first, path_tree(params))


def check(config: types.Config) -> None:
  """Raises ValueError for rows or regular expressions of the wrong form.

  Args:
    config: the block `config.optim`.
  """
  for field, pattern in _patterns(config):
    try:
      re.compile(pattern)
    except (re.error, TypeError) as error:
      raise ValueError(
        f'config.optim.{field}: expected a regular expression, got '
        f'{pattern!r} ({error})'
      ) from error


def check_matches(config: types.Config, params: PyTree) -> None:
  """Raises ValueError for a pattern that matches no parameter.

  The message names the parts of parameters' paths that come close: with a
  misspelled pattern in `frozen`, what should be frozen would train.

  Args:
    config: the block `config.optim`.
    params: tree of parameters or of their shapes.
  """
  check(config)
  paths = jax.tree.leaves(path_tree(params))
  for field, pattern in _patterns(config):
    if not any(re.search(pattern, path) for path in paths):
      raise ValueError(
        f'config.optim.{field}: expected patterns of parameters, but '
        f'{pattern!r} matches none; {_near(pattern, paths)}'
      )


def _patterns(config: types.Config) -> Iterator[tuple[str, str]]:
  """Yields (field, pattern) of all rows of `config.optim`."""
  row_forms = {'groups': '(pattern, rate factor, decay factor)'}
  if config.name == 'sgd':
    row_forms['repeats'] = '(pattern, number of updates)'
  for field, form in row_forms.items():
    for row in config[field]:
      if not isinstance(row, tuple) or len(row) != form.count(',') + 1:
        raise ValueError(
          f'config.optim.{field}: expected rows {form}, got {row!r}'
        )
      if not all(_is_factor(x) for x in row[1:]):
        raise ValueError(
          f'config.optim.{field}: expected rows {form} of numbers, 0 or more, '
          f'got {row!r}'
        )
      yield field, row[0]
  for pattern in config.frozen:
    yield 'frozen', pattern


def _is_factor(x: Any) -> bool:
  return isinstance(x, int | float) and not isinstance(x, bool) and x >= 0


def _near(pattern: str, paths: Sequence[str]) -> str:
  """Returns the path parts that resemble a pattern's words, or some paths."""
  parts = sorted({part for path in paths for part in path.split('/')})
  close = [
    part
    for word in re.findall(r'\w+', pattern)
    for part in difflib.get_close_matches(word, parts)
  ]
  if close:
    return f'did you mean {" or ".join(dict.fromkeys(close))}?'
  return f'parameters are {", ".join(paths[:2])}, ...'
