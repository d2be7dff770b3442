"""Renames tensors by templates, in both directions.

In a template {s} and {j} are numbers, {s+1} is the number s counted from 1
instead of 0, {*} is any text, and [text] is text that a name may lack when it
is read and always has when it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import functools
import re

import numpy as np

Tensors = dict[str, np.ndarray]
# (template of one layout, template of the other)
Rows = Sequence[tuple[str, str]]
# See `join`.
Pair = tuple[str, str, str, int]

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
  """Returns whether a name fits a template."""
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
  """Renames each tensor by the first row whose first template fits.

  Args:
    tensors: by name. Names that fit no row stay as they are.
    rows: (template, template).

  Raises:
    ValueError: two tensors would get one name.
  """

  def new_name(name: str) -> str:
    names = (_rename(name, *row) for row in rows)
    return next((n for n in names if n is not None), name)

  return _renamed(tensors, new_name)


def _renamed(
  tensors: Mapping[str, np.ndarray], new_name: Callable[[str], str]
) -> Tensors:
  result: Tensors = {}
  origin: dict[str, str] = {}
  for name, tensor in tensors.items():
    new = new_name(name)
    if new in result:
      raise ValueError(f'{origin[new]} and {name} are both {new}')
    result[new], origin[new] = tensor, name
  return result


def swapped(rows: Rows) -> Rows:
  """Returns the rows of the other direction."""
  return [(theirs, ours) for ours, theirs in rows]


def unwrap(tensors: Mapping[str, np.ndarray]) -> Tensors:
  """Removes the name parts that PyTorch's wrappers add.

  `module.` before all names is DataParallel's, `_orig_mod.` anywhere is that
  of `torch.compile`.

  Args:
    tensors: by name.

  Raises:
    ValueError: two tensors would get one name.
  """

  def bare(name: str) -> str:
    parts = [part for part in name.split('.') if part != '_orig_mod']
    return '.'.join(parts).removeprefix('module.')

  return _renamed(tensors, bare)


def join(tensors: Mapping[str, np.ndarray], pairs: Iterable[Pair]) -> Tensors:
  """Joins pairs of tensors along their first axis.

  Args:
    tensors: by name. Tensors without a partner that fits stay as they are.
    pairs: (part of the first name, of the second, of the joined name, length
      of the second over that of the first). A pair may join what one before
      it has joined.
  """
  result = dict(tensors)
  for first, second, whole, ratio in pairs:
    for name in [n for n in result if first in n]:
      other = name.replace(first, second)
      x, y = result[name], result.get(other)
      if y is None or not x.ndim or y.shape != (ratio * len(x), *x.shape[1:]):
        continue
      del result[name], result[other]
      result[name.replace(first, whole)] = np.concatenate([x, y])
  return result


def split(tensors: Mapping[str, np.ndarray], pairs: Iterable[Pair]) -> Tensors:
  """Inverse of `join`; tensors that do not divide stay as they are."""
  result = dict(tensors)
  for first, second, whole, ratio in reversed(tuple(pairs)):
    for name in [n for n in result if whole in n]:
      x = result[name]
      if not x.ndim or len(x) % (1 + ratio):
        continue
      del result[name]
      at = len(x) // (1 + ratio)
      result[name.replace(whole, first)] = x[:at]
      result[name.replace(whole, second)] = x[at:]
  return result


def squeeze(
  tensors: Mapping[str, np.ndarray], templates: Iterable[str]
) -> Tensors:
  """Turns 1x1 kernels [out, in, 1, 1] into matrices [out, in].

  Args:
    tensors: by name. Other shapes stay as they are.
    templates: of the names of these kernels.
  """
  return {
    name: x[:, :, 0, 0]
    if x.shape[2:] == (1, 1) and any(fits(name, t) for t in templates)
    else x
    for name, x in tensors.items()
  }


def unsqueeze(
  tensors: Mapping[str, np.ndarray], templates: Iterable[str]
) -> Tensors:
  """Inverse of `squeeze`."""
  return {
    name: x[:, :, None, None] if any(fits(name, t) for t in templates) else x
    for name, x in tensors.items()
  }


def unflatten(
  tensors: Mapping[str, np.ndarray], sides: Mapping[str, int]
) -> Tensors:
  """Turns matrices [out, in * side^2] into kernels [out, in, side, side].

  Args:
    tensors: by name. Other tensors stay as they are.
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
  """Inverse of `unflatten`."""
  return {
    name: x.reshape(len(x), -1) if name in sides else x
    for name, x in tensors.items()
  }
