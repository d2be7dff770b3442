"""Checkpoints on disk; the only module that uses orbax.

`<workdir>/checkpoints/STEP` holds the newest whole `TrainState`, written
asynchronously, complete or not at all. `<workdir>/best/N` holds the network
with the best score so far, and that score. N counts the improvements: a resumed
run may find a better network at an earlier step than the best so far, and orbax
keeps the entry with the largest number.

The train step may overwrite (donate) a state as soon as `save` returns: by then
the arrays of accelerators are copied to the host, and on a CPU JAX does not
reuse a buffer that the writer still reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
import logging
import math
import pathlib
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from uda_jax import types

_STATE, _NET, _SCORE = 'state', 'net', 'score'
_STORED = ('student', 'teacher', 'best')
_policies = ocp.checkpoint_managers


class Checkpoints:
  """The checkpoints of one run; a context manager that waits for the writes."""

  def __init__(self, workdir: pathlib.Path, *, every_steps: int):
    """Opens the run's directories; creates missing ones.

    Args:
      workdir: the run's directory, absolute.
      every_steps: number of steps between two checkpoints.
    """
    if every_steps < 1:
      raise ValueError(
        'config.checkpoint.every: expected a number of steps, '
        f'1 or more, got {every_steps}'
      )
    _quiet_orbax()

    def open_folder(name, policy):
      _remove_half_written(workdir / name)
      return ocp.CheckpointManager(
        workdir / name,
        options=ocp.CheckpointManagerOptions(
          save_decision_policy=policy, preservation_policy=_policies.LatestN(1)
        ),
      )

    self._latest = open_folder(
      'checkpoints',
      _policies.AnySavePolicy(
        [
          _policies.FixedIntervalPolicy(every_steps),
          _policies.PreemptionCheckpointingPolicy(),
        ]
      ),
    )
    self._best = open_folder('best', _policies.FixedIntervalPolicy(1))

  def __enter__(self) -> Checkpoints:
    return self

  def __exit__(self, *_) -> None:
    self._latest.close()
    self._best.close()

  def latest_step(self) -> int | None:
    """Returns the step of the newest complete checkpoint, None without any."""
    return self._latest.latest_step()

  def restore(self, like: types.TrainState) -> types.TrainState:
    """Reads the newest checkpoint.

    Args:
      like: the state's shapes, dtypes and shardings.

    Raises:
      ValueError: it is the state of another network or method.
    """
    step = self.latest_step()
    folder = pathlib.Path(self._latest.directory) / str(step)
    _check_same(
      _stored(folder / _STATE),
      like,
      folder,
      'Use a new --workdir, or the config that made this one '
      '(config.model, config.method).',
    )
    return self._latest.restore(
      step, args=ocp.args.Composite(**{_STATE: ocp.args.StandardRestore(like)})
    )[_STATE]

  def save(
    self, step: int, state: types.TrainState, *, force: bool = False
  ) -> bool:
    """Saves if a checkpoint is due, or with `force`; called after every step.

    Args:
      step: steps done.
      state: the state after them; may be donated when this returns.
      force: save now, unless this step is saved already.

    Returns:
      Whether a write has started; see `wait`.
    """
    if self.latest_step() == step:
      return False
    return self._latest.save(
      step,
      force=force,
      args=ocp.args.Composite(**{_STATE: ocp.args.StandardSave(state)}),
    )

  def save_best(
    self, step: int, variables: types.Variables, score: dict[str, Any]
  ) -> bool:
    """Keeps the network if its score is the best so far.

    Args:
      step: steps done.
      variables: the evaluated network; may be donated when this returns.
      score: `value`, larger is better (None and NaN never count), and further
        JSON values to store, such as the name of the metric.

    Returns:
      Whether it is the best.
    """
    value, best = score['value'], self.best()
    if value is None or not value > (best['value'] if best else -math.inf):
      return False
    number = self._best.latest_step()
    return self._best.save(
      0 if number is None else number + 1,
      args=ocp.args.Composite(
        **{
          _NET: ocp.args.StandardSave(variables),
          _SCORE: ocp.args.JsonSave({'step': step, **score}),
        }
      ),
    )

  def best(self) -> dict[str, Any] | None:
    """Returns the best score so far with its `step`, None without any."""
    self._best.wait_until_finished()
    number = self._best.latest_step()
    if number is None:
      return None
    return self._best.restore(
      number, args=ocp.args.Composite(**{_SCORE: ocp.args.JsonRestore()})
    )[_SCORE]

  def reached_preemption(self, step: int) -> bool:
    """Returns whether SIGTERM was received; the same in all processes."""
    return self._latest.reached_preemption(step)

  def wait(self) -> None:
    """Waits until everything is on disk."""
    self._latest.wait_until_finished()
    self._best.wait_until_finished()


def load_variables(
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
  if which not in _STORED:
    raise ValueError(
      f'config.warm_start.network: expected one of {_STORED}, got {which!r}'
    )
  _quiet_orbax()
  folder = pathlib.Path(run).absolute() / (
    'best' if which == 'best' else 'checkpoints'
  )
  steps = ocp.utils.checkpoint_steps(folder) if folder.is_dir() else []
  if not steps:
    raise ValueError(
      f'{field}: expected the workdir of a run with a '
      f'checkpoint in {folder}, found none'
    )
  folder = folder / str(max(steps)) / (_NET if which == 'best' else _STATE)
  found = _stored(folder)
  if which != 'best' and found.get(which) in (None, ()):
    raise ValueError(
      f'{field}: the run in {run} has no {which}; use its student'
    )
  way_out = f'Use config.model of that run, or another {field}'
  if field.startswith('config.'):
    way_out += (
      '; config.model.new_classifier=True starts with a new classifier where '
      'the numbers of classes differ'
    )
  wanted = _pruned(like._asdict(), new)
  have = found if which == 'best' else found[which]
  _check_same(_pruned(have, new), wanted, folder, way_out)
  if which == 'best':
    read = _read(folder, wanted)
  else:
    read = _read(folder, {which: wanted})[which]
  return types.Variables(**_filled(read, like._asdict()))


def _pruned(
  tree: Mapping[str, Any],
  new: Set[tuple[str, ...]],
  path: tuple[str, ...] = (),
) -> dict[str, Any]:
  """Returns nested dicts without the arrays of some modules.

  Args:
    tree: 'params' and 'batch_stats' at the top.
    new: paths of the modules, below those two.
    path: of `tree`.
  """
  kept: dict[str, Any] = {}
  for name, value in tree.items():
    if not isinstance(value, Mapping):
      if path[1:] not in new:
        kept[name] = value
      continue
    below = _pruned(value, new, (*path, name))
    if below or not value:
      kept[name] = below
  return kept


def _filled(tree: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
  """Returns nested dicts with the arrays of `like` where `tree` lacks them."""
  return {
    name: _filled(tree.get(name, {}), value)
    if isinstance(value, Mapping)
    else tree.get(name, value)
    for name, value in like.items()
  }


def _stored(folder: pathlib.Path) -> Any:
  """Returns the tree of a stored item, with shapes in place of arrays."""
  return ocp.PyTreeCheckpointer().metadata(folder).item_metadata.tree


def _read(folder: pathlib.Path, like: Any) -> Any:
  """Reads the parts of a stored item that `like` has."""
  item = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
  )
  return ocp.PyTreeCheckpointer().restore(
    folder,
    args=ocp.args.PyTreeRestore(
      item,
      partial_restore=True,
      restore_args=ocp.checkpoint_utils.construct_restore_args(item),
    ),
  )


def _remove_half_written(folder: pathlib.Path) -> None:
  """Removes the unfinished last write of a killed run.

  Orbax offers the same, in a thread that cannot be waited for: a run that fails
  at its start would end with the traceback of that thread.
  """
  if jax.process_index() == 0:
    for path in folder.glob(f'*{ocp.utils.TMP_DIR_SUFFIX}*'):
      shutil.rmtree(path)


def _shapes(tree: Any) -> dict[str, str]:
  """Returns dtypes and shapes by path, independent of container types."""
  name = lambda path: '/'.join(
    str(getattr(k, 'key', getattr(k, 'name', getattr(k, 'idx', k))))
    for k in path
  )

  def kind(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):  # stored as its data
      leaf = jax.eval_shape(jax.random.key_data, leaf)
    return f'{leaf.dtype}{list(leaf.shape)}'

  return {
    name(path): kind(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def _check_same(
  found: Any, like: Any, folder: pathlib.Path, way_out: str
) -> None:
  """Raises ValueError unless a checkpoint has the expected tensors."""
  have, want = _shapes(found), _shapes(like)
  names = sorted(have.keys() | want.keys())
  wrong = [
    f'{name}: expected {want.get(name, "nothing")}, got '
    f'{have.get(name, "nothing")}'
    for name in names
    if have.get(name) != want.get(name)
  ]
  if not wrong:
    return
  shown = wrong[:8] + ([f'and {len(wrong) - 8} more'] if wrong[8:] else [])
  raise ValueError(
    f'{folder}: expected a checkpoint of the configured network and method, '
    f'but {len(wrong)} of {len(names)} tensors differ: '
    + f'{"; ".join(shown)}. {way_out}'
  )


def _quiet_orbax() -> None:
  """Hides orbax's log lines other than errors."""
  logging.getLogger('absl').addFilter(_not_orbax_chatter)


def _not_orbax_chatter(record: logging.LogRecord) -> bool:
  return record.levelno >= logging.ERROR or 'orbax' not in record.pathname
