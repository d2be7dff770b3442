"""The frozen arrays of a run with low-rank adapters, which are kept once.

`base.safetensors` in the run's directory holds them, from its first start on.
Checkpoints hold what trains. A resumed run takes the base from the file, not
from the weights that it started from: a singular value decomposition need not
give the same bits on another machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
import dataclasses
import pathlib
from typing import Any, NamedTuple
import zlib

import jax
import numpy as np

from uda_jax import parallel
from uda_jax import types
from uda_jax.models import adapters
from uda_jax.models.weights import safetensors
from uda_jax.runs import trees

FILE = 'base.safetensors'
# Folders of stored networks, see `checkpoint`.
_STORED = ('checkpoints', 'best')
# Beside the arrays: factor of the adapters' products, CRC-32 of the arrays.
_SCALE, _CHECKSUM = 'adapter_scale', 'adapter_checksum'


class Base(NamedTuple):
  """Frozen arrays.

  Attributes:
    arrays: by path in the parameters, such as 'backbone/norm/scale'.
    scale: factor of the adapters' products.
  """

  arrays: Mapping[str, np.ndarray]
  scale: float


def keep(
  workdir: pathlib.Path,
  student: types.Variables,
  rule: adapters.Rule,
) -> tuple[Base, types.Variables]:
  """Writes the base of a run that starts; reads that of one that resumes.

  A run resumes if it has stored a network. The base of a start that ended
  before is replaced: it may be that of other weights.

  Args:
    workdir: the run's directory.
    student: initial variables, with adapters.
    rule: of the adapters.

  Returns:
    The base, and the student with its arrays.

  Raises:
    ValueError: the directory has the base of another network, or stored
      networks without their base.
  """
  path = workdir / FILE
  trains = adapters.trained(rule, student.params)
  frozen = {
    name: value
    for name, (value, on) in by_path(
      jax.tree.map(lambda x, on: (x, on), student.params, trains)
    ).items()
    if not on
  }
  if jax.process_index() == 0 and not _resumes(workdir):
    arrays = {name: np.asarray(x) for name, x in frozen.items()}
    facts = {
      _SCALE: np.asarray(rule.scale, np.float32),
      _CHECKSUM: _checksum(arrays),
    }
    safetensors.write(path, arrays | facts)
  parallel.barrier('the base is written')
  base = read(workdir)
  assert base is not None, path
  shapes = lambda arrays: {name: x.shape for name, x in arrays.items()}
  if shapes(base.arrays) != shapes(frozen):
    raise ValueError(
      f'{path}: expected the frozen arrays of this network, got those of '
      'another; use a new --workdir, or the config that made this one '
      '(config.model, config.optim)'
    )
  return base, filled(base, without(base, student))


def _resumes(workdir: pathlib.Path) -> bool:
  """Returns whether a run has stored a network, which needs its base."""
  stored = [
    path
    for folder in _STORED
    for path in (workdir / folder).glob('*')
    if path.name.isdecimal()
  ]
  path = workdir / FILE
  if stored and not path.is_file():
    raise ValueError(
      f'{path}: expected the frozen arrays of {stored[0]}, found none; put the '
      'file back, or use a new --workdir'
    )
  return bool(stored)


def read(workdir: pathlib.Path) -> Base | None:
  """Reads the base of a run, None for a run without adapters."""
  path = workdir / FILE
  return read_file(path) if path.is_file() else None


def read_file(path: pathlib.Path) -> Base:
  """Reads the base of a run from its file."""
  arrays = safetensors.read(path)
  scale, checksum = (arrays.pop(name, None) for name in (_SCALE, _CHECKSUM))
  if scale is None:
    raise ValueError(f'{path}: expected the base of a run, got no {_SCALE}')
  # Earlier versions wrote none.
  if checksum is not None and checksum != _checksum(arrays):
    raise ValueError(
      f'{path}: expected the arrays that were written, got others: the file is '
      'damaged; put a whole copy in its place, or use a new --workdir'
    )
  return Base(arrays, float(scale))


def _checksum(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
  """Returns the CRC-32 of the bytes of arrays, in the order of their names."""
  found = 0
  for name in sorted(arrays):
    flat = np.ascontiguousarray(arrays[name]).reshape(-1)
    found = zlib.crc32(flat.view(np.uint8).data, found)
  return np.asarray(found, np.int64)


def by_path(params: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
  """Returns the values of nested mappings by path."""
  found: dict[str, Any] = {}
  for name, value in params.items():
    here = (*path, name)
    if isinstance(value, Mapping):
      found |= by_path(value, here)
    else:
      found['/'.join(here)] = value
  return found


def without(base: Base, variables: types.Variables) -> types.Variables:
  """Returns variables without the arrays of the base."""

  def pruned(params, path=()):
    kept = {}
    for name, value in params.items():
      here = (*path, name)
      if isinstance(value, Mapping):
        value = pruned(value, here)
        if value:
          kept[name] = value
      elif '/'.join(here) not in base.arrays:
        kept[name] = value
    return kept

  return variables._replace(params=pruned(variables.params))


def filled(base: Base, variables: types.Variables) -> types.Variables:
  """Returns variables with the arrays of the base: undoes `without`."""
  params = jax.tree.map(lambda x: x, variables.params)
  for path, array in base.arrays.items():
    *parents, name = path.split('/')
    node = params
    for parent in parents:
      node = node.setdefault(parent, {})
    node[name] = array
  return variables._replace(params=params)


def placed(variables: types.Variables, like: types.Variables) -> Any:
  """Returns variables where `like` (arrays or shapes) has them."""
  return jax.tree.map(
    lambda x, to: jax.device_put(x, to.sharding), variables, like
  )


def small(base: Base | None, state: types.TrainState) -> types.TrainState:
  """Returns a train state without the arrays of the base."""
  if base is None:
    return state
  networks: dict[str, Any] = {
    name: without(base, variables)
    for name in ('student', 'teacher')
    if (variables := getattr(state, name)) is not None
  }
  return dataclasses.replace(state, **networks)


def whole(
  base: Base | None, state: types.TrainState, like: types.TrainState
) -> types.TrainState:
  """Undoes `small`; arrays of the base are placed as in `like`."""
  if base is None:
    return state
  networks = {
    name: placed(filled(base, variables), getattr(like, name))
    for name in ('student', 'teacher')
    if (variables := getattr(state, name)) is not None
  }
  return dataclasses.replace(state, **networks)


def loaded(
  base: Base, variables: types.Variables, like: types.Variables
) -> types.Variables:
  """Returns a stored network with adapters where `like` has them, else plain.

  Args:
    base: of the run.
    variables: as stored, without the base.
    like: variables of the network that is wanted.
  """
  found = filled(base, variables)
  if adapters.is_adapted(like.params):
    return found
  return found._replace(params=adapters.merged(found.params, base.scale))


def fitted(
  base: Base,
  own: types.Variables,
  like: types.Variables,
  folder: pathlib.Path,
  way_out: str,
  new: Set[tuple[str, ...]] = frozenset(),
) -> types.Variables:
  """Returns a stored network as one that is wanted.

  Args:
    base: of the run.
    own: as stored, without the base.
    like: variables of the network that is wanted, see `loaded`; the result has
      their shardings.
    folder: of the stored network, for the message.
    way_out: the end of the message.
    new: paths of modules whose arrays stay those of `like`.

  Raises:
    ValueError: it has other tensors.
  """
  found = trees.pruned(loaded(base, own, like)._asdict(), new)
  trees.check_same(found, trees.pruned(like._asdict(), new), folder, way_out)
  return placed(types.Variables(**trees.filled(found, like._asdict())), like)
