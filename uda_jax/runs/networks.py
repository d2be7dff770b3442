"""One network of a run, read from its checkpoints."""

from __future__ import annotations

from collections.abc import Set
import pathlib
from typing import Any

import jax

from uda_jax import types
from uda_jax.runs import adapted
from uda_jax.runs import checksums
from uda_jax.runs import stored
from uda_jax.runs import trees

_NETWORKS = ('student', 'teacher', 'best')


def load(
  run: pathlib.Path | str,
  which: str,
  like: types.Variables,
  *,
  field: str = 'config.warm_start.workdir',
  new: Set[tuple[str, ...]] = frozenset(),
) -> types.Variables:
  """Reads one network of another run.

  Args:
    run: the other run's workdir.
    which: 'student' or 'teacher' of its newest checkpoint, or 'best'.
    like: variables of the network that is wanted; the result has their dtypes
      and shardings.
    field: the config field or flag that names the run, for messages.
    new: paths of modules that are not read: their arrays stay those of `like`.

  Raises:
    ValueError: there is no such network, or it has other tensors.
  """
  if which not in _NETWORKS:
    raise ValueError(
      f'config.warm_start.network: expected one of {_NETWORKS}, got {which!r}'
    )
  stored.quiet_orbax()
  workdir = pathlib.Path(run).absolute()
  folder = _newest(workdir, which, field)
  found = stored.shapes(folder)
  have = found if which == 'best' else found.get(which)
  if have in (None, ()):
    raise ValueError(
      f'{field}: the run in {run} has no {which}; use its student'
    )
  way_out = f'Use config.model of that run, or another {field}'
  if field.startswith('config.'):
    way_out += (
      '; config.model.new_classifier=True starts with a new classifier where '
      'the numbers of classes differ'
    )
  base = adapted.read(workdir)
  if base is not None:
    return _load_adapted(base, folder, which, have, like, way_out, new)
  wanted = trees.pruned(like._asdict(), new)
  trees.check_same(trees.pruned(have, new), wanted, folder, way_out)
  read = _read_network(folder, which, wanted)
  return types.Variables(**trees.filled(read, like._asdict()))


def _newest(workdir: pathlib.Path, which: str, field: str) -> pathlib.Path:
  """Returns the newest stored item with a network; see `load`."""
  best = which == 'best'
  folder = workdir / (stored.BEST if best else stored.CHECKPOINTS)
  steps = stored.steps(folder)
  if not steps:
    raise ValueError(
      f'{field}: expected the workdir of a run with a '
      f'checkpoint in {folder}, found none'
      + ('; before its first evaluation, ask for the student' * best)
    )
  item = stored.NET if best else stored.STATE
  folder = folder / str(max(steps))
  if damage := checksums.damage(folder, item):
    raise ValueError(
      f'{field}: {damage}. The checkpoint is damaged: put the file back, or '
      f'remove {folder} to use an older one if there is any'
    )
  return folder / item


def _read_network(folder: pathlib.Path, which: str, like: Any) -> Any:
  """Reads a network: all of an item of best/, a part of a state."""
  if which == 'best':
    return stored.read(folder, like)
  return stored.read(folder, {which: like})[which]


def _load_adapted(
  base: adapted.Base, folder, which, have, like, way_out, new
) -> types.Variables:
  """Reads a network of a run with adapters; see `load`."""
  sharding = jax.tree.leaves(like)[0].sharding
  wanted = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
    dict(have),
  )
  read = _read_network(folder, which, wanted)
  own = types.Variables(read['params'], read.get('batch_stats', {}))
  return adapted.fitted(base, own, like, folder, way_out, new)
