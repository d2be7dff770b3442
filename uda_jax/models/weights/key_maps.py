"""Tensor names of published files, mapped to one canonical layout and back.

The canonical layout is that of the authors' own checkpoints; our modules have
the same names. Names are bare in the file of an encoder
(`patch_embed1.proj.weight`), and have the prefixes `backbone.` and
`decode_head.` in that of a whole network, or the names of DeepLab and FCN.
`spellings.SPELLINGS` lists all other spellings that published files use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from uda_jax.models.weights import renaming
from uda_jax.models.weights import spellings

Tensors = renaming.Tensors


class Canonical(NamedTuple):
  """Tensors in the canonical layout.

  Attributes:
    tensors: by canonical name.
    spelling: name of the file's spelling, '' if it is not listed.
    preprocessing: that of the spelling.
    dropped: names of the tensors that were left out, as in the file.
  """

  tensors: Tensors
  spelling: str = ''
  preprocessing: str = ''
  dropped: tuple[str, ...] = ()


def recognize(tensors: Mapping[str, np.ndarray]) -> spellings.Spelling | None:
  """Returns the spelling of a file's names, None if it is not listed."""
  for spelling in spellings.SPELLINGS:
    if all(
      any(renaming.fits(name, mark) for name in tensors)
      for mark in spelling.marks
    ):
      return spelling
  return None


def canonical(tensors: Mapping[str, np.ndarray]) -> Canonical:
  """Returns tensors by their canonical names.

  Args:
    tensors: of one network, see `parts.take`. Names of no listed spelling, and
      names that a spelling has no row for, stay as they are.

  Raises:
    ValueError: two tensors would get one name.
  """
  tensors = renaming.unwrap(tensors)
  spelling = recognize(tensors)
  if spelling is None:
    return Canonical(tensors)
  used = {
    n: x
    for n, x in tensors.items()
    if not any(renaming.fits(n, t) for t in spelling.dropped)
  }
  found = renaming.rename(used, spelling.rows)
  found = renaming.join(found, spelling.joined)
  found = renaming.split(found, spelling.divided)
  found = renaming.squeeze(found, spelling.pointwise)
  found = renaming.unflatten(found, spelling.flattened)
  return Canonical(
    found,
    spelling.name,
    spelling.preprocessing,
    tuple(n for n in tensors if n not in used),
  )


def respell(tensors: Mapping[str, np.ndarray], name: str) -> Tensors:
  """Returns canonical tensors by the names of a spelling.

  Args:
    tensors: by canonical name.
    name: of the spelling.

  Raises:
    ValueError: the spelling is unknown, or has no name for a tensor.
  """
  names = [spelling.name for spelling in spellings.SPELLINGS]
  if name not in names:
    raise ValueError(f'spelling: got {name!r}, expected one of {names}')
  spelling = spellings.SPELLINGS[names.index(name)]
  found = renaming.flatten(tensors, spelling.flattened)
  found = renaming.unsqueeze(found, spelling.pointwise)
  found = renaming.join(found, spelling.divided)
  found = renaming.split(found, spelling.joined)
  rows = renaming.swapped(spelling.rows)
  nameless = [
    n
    for n in found
    if rows and not any(renaming.fits(n, ours) for ours, _ in rows)
  ]
  if nameless:
    raise ValueError(
      f'spelling {name!r} has no names for {len(nameless)} of '
      f'{len(found)} tensors, such as {nameless[0]}'
    )
  return renaming.rename(found, rows)
