"""Checkpoints on disk; the only room that knows orbax.

`<workdir>/checkpoints/STEP` holds the newest whole `TrainState`, written
asynchronously, complete or not at all. `<workdir>/best/STEP` holds the network
with the best score so far, and that score.
"""

from __future__ import annotations

import logging
import pathlib
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from uda_jax import state as state_lib

_STATE, _NET, _SCORE = 'state', 'net', 'score'
_KEEP_NEWEST = ocp.checkpoint_managers.LatestN(1)


class Checkpoints:
  """The checkpoints of one run; a context manager that waits for the writes."""

  def __init__(self, workdir: pathlib.Path, *, every_steps: int):
    """Opens (and makes) the run's directories.

    Args:
      workdir: the run's directory, absolute.
      every_steps: how often `save` writes.
    """
    for name in ('absl', 'orbax'):
      logging.getLogger(name).addFilter(_not_orbax_chatter)
    _check_writable(workdir)
    self._folder = workdir / 'checkpoints'
    self._latest = ocp.CheckpointManager(
        self._folder, options=ocp.CheckpointManagerOptions(
            save_interval_steps=every_steps, cleanup_tmp_directories=True,
            preservation_policy=_KEEP_NEWEST))
    self._best = ocp.CheckpointManager(
        workdir / 'best', options=ocp.CheckpointManagerOptions(
            cleanup_tmp_directories=True, preservation_policy=_KEEP_NEWEST))

  def __enter__(self) -> Checkpoints:
    return self

  def __exit__(self, *_) -> None:
    self._latest.close()
    self._best.close()

  def latest_step(self) -> int | None:
    """The step of the newest complete checkpoint, None without any."""
    return self._latest.latest_step()

  def restore(self, like: state_lib.TrainState) -> state_lib.TrainState:
    """Reads the newest checkpoint.

    Args:
      like: the state's shapes, dtypes and shardings.

    Raises:
      ValueError: it is the state of another network or method.
    """
    step = self.latest_step()
    _check_same(_stored(self._folder / str(step) / _STATE), like,
                self._folder / str(step))
    return self._latest.restore(step, args=ocp.args.Composite(
        **{_STATE: ocp.args.StandardRestore(like)}))[_STATE]

  def save(self, step: int, state: state_lib.TrainState, *,
           force: bool = False) -> bool:
    """Saves if it is time to (or `force`); to be called after every step."""
    if not force and not self._latest.should_save(step):
      return False
    if self.latest_step() == step:
      return False
    if jax.default_backend() == 'cpu':
      # On CPU the writer would read the very buffers that the next step, to
      # which the state is donated, overwrites.
      state = jax.tree.map(jnp.copy, state)
    return self._latest.save(step, force=force, args=ocp.args.Composite(
        **{_STATE: ocp.args.StandardSave(state)}))

  def save_best(self, step: int, net: state_lib.Net,
                score: dict[str, Any]) -> bool:
    """Keeps the network if `score['value']` is the best so far."""
    best = self.best()
    if best is not None and not score['value'] > best['value']:
      return False
    self._best.save(step, force=True, args=ocp.args.Composite(
        **{_NET: ocp.args.StandardSave(jax.tree.map(jnp.copy, net)),
           _SCORE: ocp.args.JsonSave(score | {'step': step})}))
    return True

  def best(self) -> dict[str, Any] | None:
    """The best score so far with its step; survives restarts."""
    self._best.wait_until_finished()
    step = self._best.latest_step()
    if step is None:
      return None
    return self._best.restore(step, args=ocp.args.Composite(
        **{_SCORE: ocp.args.JsonRestore()}))[_SCORE]

  def reached_preemption(self, step: int) -> bool:
    """Says, to all processes at the same step, that SIGTERM came."""
    return self._latest.reached_preemption(step)

  def wait(self) -> None:
    """Returns when everything is on disk."""
    self._latest.wait_until_finished()
    self._best.wait_until_finished()


def load_net(run: pathlib.Path, which: str, like: state_lib.Net
             ) -> state_lib.Net:
  """Reads one network of another run.

  Args:
    run: the other run's workdir.
    which: 'student' or 'teacher' of its newest checkpoint, or 'best'.
    like: variables of the network that is wanted.

  Raises:
    ValueError: there is no such network, or it has other tensors.
  """
  if which not in ('student', 'teacher', 'best'):
    raise ValueError("config.warm_start.network: expected 'student', "
                     f"'teacher' or 'best', got {which!r}")
  folder = pathlib.Path(run).absolute() / (
      'best' if which == 'best' else 'checkpoints')
  step = ocp.utils.checkpoint_steps(folder) if folder.is_dir() else []
  if not step:
    raise ValueError(f'config.warm_start.workdir: expected the workdir of a '
                     f'run with a checkpoint in {folder}, found none')
  folder = folder / str(max(step)) / (_NET if which == 'best' else _STATE)
  reader = ocp.PyTreeCheckpointer()
  wrap = (lambda net: net) if which == 'best' else (lambda net: {which: net})
  found = _stored(folder)
  _check_same(found if which == 'best' else found.get(which), like, folder)
  item = wrap(jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
      like))
  net = reader.restore(folder, args=ocp.args.PyTreeRestore(
      item, partial_restore=True,
      restore_args=ocp.checkpoint_utils.construct_restore_args(item)))
  return net if which == 'best' else net[which]


def _stored(folder: pathlib.Path) -> Any:
  """The tree of a stored item, with shapes in place of arrays."""
  return ocp.PyTreeCheckpointer().metadata(folder).item_metadata.tree


def _check_writable(workdir: pathlib.Path) -> None:
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=workdir):
      pass
  except OSError as error:
    raise OSError(f'--workdir: expected a directory that can be written, got '
                  f'{workdir} ({error})') from error


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
  """The shapes of a tree's leaves by path, whatever its containers are."""
  name = lambda path: '/'.join(
      str(getattr(k, 'key', getattr(k, 'name', getattr(k, 'idx', k))))
      for k in path)
  def shape(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):  # stored as its data
      leaf = jax.eval_shape(jax.random.key_data, leaf)
    return tuple(leaf.shape)

  return {name(path): shape(leaf)
          for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _check_same(found: Any, like: Any, folder: pathlib.Path) -> None:
  """Raises unless a checkpoint has the tensors that are wanted."""
  have, want = _shapes(found), _shapes(like)
  wrong = [f'{name}: expected {want.get(name, "nothing")}, got '
           f'{have.get(name, "nothing")}'
           for name in sorted(have.keys() | want.keys())
           if have.get(name) != want.get(name)]
  if wrong:
    raise ValueError(
        f'{folder}: expected a checkpoint of the configured network and '
        f'method, but {len(wrong)} of {len(want)} tensors differ:\n  '
        + '\n  '.join(wrong[:8])
        + '\nUse another --workdir, or the config that made this one.')


def _not_orbax_chatter(record: logging.LogRecord) -> bool:
  """Drops what orbax logs about its own workings below errors."""
  return record.levelno >= logging.ERROR or 'orbax' not in record.pathname
