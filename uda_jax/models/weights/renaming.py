"""Renames tensors by templates, in both directions.

In a template {s} and {j} are numbers, {s+1} is the same number where counting
starts at 1 and not at 0, {*} is any text, and [text] is text that a name may
lack; it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import functools
import re

import numpy as np

Tensors = dict[str, np.ndarray]
# (template of one layout, template of the other)
Rows = Sequence[tuple[str, str]]

_TOKEN = re.compile(r'\{([a-z*])(\+1)?\}|\[(.*?)\]')


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
  found, begin = [], 0
  for token in _TOKEN.finditer(template):
    found.append(re.escape(template[begin : token.start()]))
    begin = token.end()
    letter, shift, text = token.groups()
    if text is not None:
      found.append(f'(?:{re.escape(text)})?')
    elif letter == '*':
      found.append('(?P<rest>.*)')
    else:
      first = '' if shift else '0|'
      found.append(f'(?P<{letter}>{first}[1-9][0-9]{{0,4}})')
  return re.compile(''.join(found) + re.escape(template[begin:]), re.DOTALL)


def fits(name: str, template: str) -> bool:
  """Tells whether a name is one of a template's."""
  return _pattern(template).fullmatch(name) is not None


def _rename(name: str, given: str, wanted: str) -> str | None:
  match = _pattern(given).fullmatch(name)
  if match is None:
    return None
  first = {t[1]: bool(t[2]) for t in _TOKEN.finditer(given)}

  def fill(token: re.Match[str]) -> str:
    letter, shift, text = token.groups()
    if text is not None:
      return text
    if letter == '*':
      return match['rest']
    return str(int(match[letter]) - first[letter] + bool(shift))

  return _TOKEN.sub(fill, wanted)


def rename(tensors: Mapping[str, np.ndarray], rows: Rows) -> Tensors:
  """Renames tensors by the first row whose first template fits.

  Args:
    tensors: by name. Names that no row fits stay as they are.
    rows: (template, template).

  Raises:
    ValueError: two tensors would get one name.
  """
  result, origin = {}, {}
  for name, tensor in tensors.items():
    names = (_rename(name, *row) for row in rows)
    new = next((n for n in names if n is not None), name)
    if new in result:
      raise ValueError(f'{origin[new]} and {name} are both {new}')
    result[new], origin[new] = tensor, name
  return result


def swapped(rows: Rows) -> Rows:
  """The rows of the other direction."""
  return [(theirs, ours) for ours, theirs in rows]


def join(
  tensors: Mapping[str, np.ndarray], parts: Iterable[tuple[str, str, str]]
) -> Tensors:
  """Joins pairs of tensors along their first axis.

  Args:
    tensors: by name. What has no partner of its shape stays as it is.
    parts: (first part, second part, whole), parts of names.
  """
  result = dict(tensors)
  for first, second, whole in parts:
    for name in [n for n in tensors if first in n]:
      x, y = tensors[name], tensors.get(name.replace(first, second))
      if y is not None and x.ndim and x.shape == y.shape:
        del result[name], result[name.replace(first, second)]
        result[name.replace(first, whole)] = np.concatenate([x, y])
  return result


def split(
  tensors: Mapping[str, np.ndarray], parts: Iterable[tuple[str, str, str]]
) -> Tensors:
  """The inverse of `join`."""
  result = dict(tensors)
  for first, second, whole in parts:
    for name in [n for n in tensors if whole in n]:
      x, y = np.split(result.pop(name), 2)
      result[name.replace(whole, first)] = x
      result[name.replace(whole, second)] = y
  return result


def unflatten(
  tensors: Mapping[str, np.ndarray], sides: Mapping[str, int]
) -> Tensors:
  """Makes kernels [out, in, side, side] of matrices [out, in * side^2].

  Args:
    tensors: by name. What is no such matrix stays as it is.
    sides: side of the kernel by name.
  """

  def kernel(name: str, x: np.ndarray) -> np.ndarray:
    side = sides.get(name)
    if side is None or x.ndim != 2 or x.shape[1] % side**2:
      return x
    return x.reshape(x.shape[0], x.shape[1] // side**2, side, side)

  return {name: kernel(name, x) for name, x in tensors.items()}


def flatten(
  tensors: Mapping[str, np.ndarray], sides: Mapping[str, int]
) -> Tensors:
  """The inverse of `unflatten`."""
  return {
    name: x.reshape(len(x), -1) if name in sides else x
    for name, x in tensors.items()
  }
