"""The arrays that a run with low-rank adapters trained, beside its base.

`delta.safetensors` holds the adapters, the head and all else that trains, by
path in the network's variables; its declaration names the base by SHA-256. The
base is the run's `base.safetensors`, in the same folder or in the one above,
where several deltas share it. Together they are the run's network, to the bit.
"""

from __future__ import annotations

from collections.abc import Set
import pathlib
from typing import Any

import jax
import numpy as np

from uda_jax import types
from uda_jax.models.weights import metadata
from uda_jax.models.weights import safetensors
from uda_jax.runs import adapted

FILE = 'delta.safetensors'
# Fields of the declaration.
BASE, BASE_SHA256 = 'base', 'base_sha256'


def write(
  folder: pathlib.Path,
  base: adapted.Base,
  base_path: pathlib.Path,
  variables: types.Variables,
  declared: dict[str, Any],
) -> int:
  """Writes a delta and its declaration.

  Args:
    folder: for the two files.
    base: of the run.
    base_path: its file.
    variables: with adapters, whole.
    declared: fields of the declaration.

  Returns:
    The number of arrays.
  """
  own = adapted.without(base, variables)
  arrays = {
    name: np.asarray(x) for name, x in adapted.by_path(own._asdict()).items()
  }
  safetensors.write(folder / FILE, arrays)
  metadata.write(
    folder / FILE,
    declared | {BASE: base_path.name, BASE_SHA256: metadata.sha256(base_path)},
  )
  return len(arrays)


def load_variables(
  folder: pathlib.Path,
  like: types.Variables,
  *,
  way_out: str,
  new: Set[tuple[str, ...]] = frozenset(),
) -> types.Variables:
  """Reads a delta and its base as the network of the run.

  Args:
    folder: of the delta.
    like: variables of the network that is wanted, see `adapted.fitted`.
    way_out: the end of the message if it is another network.
    new: paths of modules whose arrays stay those of `like`.

  Raises:
    ValueError: there is no base, or another one; the delta is damaged or of
      another network.
  """
  path = folder / FILE
  declared = metadata.read(path, metadata.sha256(path))
  base = adapted.read_file(_base_of(path, declared))
  tree: dict[str, Any] = {'params': {}, 'batch_stats': {}}
  for name, array in safetensors.read(path).items():
    *parents, last = name.split('/')
    node = tree
    for parent in parents:
      node = node.setdefault(parent, {})
    node[last] = jax.numpy.asarray(array)
  own = types.Variables(**tree)
  return adapted.fitted(base, own, like, path, way_out, new)


def _base_of(path: pathlib.Path, declared: dict[str, Any]) -> pathlib.Path:
  """Returns the file of a delta's base."""
  wanted = declared.get(BASE_SHA256)
  if not wanted:
    raise ValueError(
      f'{metadata.beside(path)}: expected the declaration of a delta, with '
      f'{BASE_SHA256}, got none; it lies beside the file that the export wrote'
    )
  name = declared.get(BASE, adapted.FILE)
  places = [path.parent / name, path.parent.parent / name]
  found = {place: metadata.sha256(place) for place in places if place.is_file()}
  for place, digest in found.items():
    if digest == wanted:
      return place
  if found:
    place, digest = next(iter(found.items()))
    raise ValueError(
      f'{place}: expected the base of {path}, of SHA-256 {wanted}, got a file '
      f'of {digest}; put the {name} of its run there'
    )
  raise ValueError(
    f'{path}: expected its base, {name} of SHA-256 {wanted}, in {places[0]} or '
    f'{places[1]}, found none; copy or link it from the directory of the run'
  )
