"""Checkpoints on disk; this module and `stored` alone use orbax.

`<workdir>/checkpoints/STEP` holds a whole `TrainState`, written asynchronously,
complete or not at all; the newest few are kept. A damaged one is moved to
`<workdir>/damaged` when the run is opened. `<workdir>/best/N` holds the network
with the best score so far, and that score. N counts the improvements: a resumed
run may find a better network at an earlier step, and orbax keeps the largest N.

The train step may overwrite (donate) a state as soon as `save` returns: it is
on the host by then, and on a CPU JAX reuses no buffer that is being read.
"""

from __future__ import annotations

import math
import pathlib
import shutil
from typing import Any

import jax
import orbax.checkpoint as ocp

from uda_jax import parallel
from uda_jax import types
from uda_jax.runs import adapted
from uda_jax.runs import checksums
from uda_jax.runs import stored
from uda_jax.runs import trees

# Fields of a score that is compared with those of the same kind alone.
_KINDS = ('metric', 'network', 'scoring')
_policies = ocp.checkpoint_managers


class Checkpoints:
  """The checkpoints of one run; a context manager that waits for the writes."""

  def __init__(
    self,
    workdir: pathlib.Path,
    *,
    every_steps: int,
    keep: int = 1,
    keep_every: int = 0,
    base: adapted.Base | None = None,
  ):
    """Opens the run's directories; creates missing ones.

    Args:
      workdir: the run's directory, absolute.
      every_steps: number of steps between two checkpoints.
      keep: number of checkpoints that are kept, the newest ones.
      keep_every: number of steps between those that are kept as well; 0: none.
      base: frozen arrays that checkpoints leave out, None for none.

    Raises:
      ValueError: checkpoints are there, but all of them are damaged.
    """
    if every_steps < 1:
      raise ValueError(
        'config.checkpoint.every: expected a number of steps, '
        f'1 or more, got {every_steps}'
      )
    stored.quiet_orbax()
    self._workdir = workdir
    self._base = base
    if jax.process_index() == 0:
      _remove_half_written(workdir / stored.CHECKPOINTS)
      _remove_half_written(workdir / stored.BEST)
      checksums.set_aside(
        workdir / stored.CHECKPOINTS, stored.STATE, required=True
      )
      checksums.set_aside(workdir / stored.BEST, stored.NET, required=False)
    parallel.barrier('checkpoints are whole')
    self._latest = _manager(
      workdir / stored.CHECKPOINTS, every_steps, keep, keep_every
    )
    # Its folder is made with the first network that is kept.
    self._best: ocp.CheckpointManager | None = None
    if parallel.of_first(lambda: bool(stored.steps(workdir / stored.BEST))):
      self._best = self._best_manager()

  def __enter__(self) -> Checkpoints:
    return self

  def __exit__(self, *_) -> None:
    with checksums.writing(self._workdir):
      for manager in self._managers():
        manager.close()

  def _best_manager(self) -> ocp.CheckpointManager:
    return _manager(self._workdir / stored.BEST, 1, 1)

  def _managers(self) -> list[ocp.CheckpointManager]:
    return [self._latest, *([self._best] if self._best else [])]

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
    small = adapted.small(self._base, like)
    trees.check_same(
      stored.shapes(folder / stored.STATE),
      small,
      folder,
      'Use a new --workdir, or the config that made this one '
      '(config.model, config.method).',
    )
    item = ocp.args.Composite(**{stored.STATE: ocp.args.StandardRestore(small)})
    with checksums.reading(folder):
      state = self._latest.restore(step, args=item)[stored.STATE]
    return adapted.whole(self._base, state, like)

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
    state = adapted.small(self._base, state)
    item = ocp.args.Composite(**{stored.STATE: ocp.args.StandardSave(state)})
    with checksums.writing(self._workdir):
      return self._latest.save(step, force=force, args=item)

  def save_best(
    self,
    step: int,
    variables: types.Variables,
    score: dict[str, Any],
    *,
    anew: bool = False,
  ) -> bool:
    """Keeps the network if its score is the best so far.

    Args:
      step: steps done.
      variables: the evaluated network; may be donated when this returns.
      score: `value`, larger is better (None and NaN never count), and further
        JSON values to store, such as the metric and the network.
      anew: whether it is the stored network with another score, which replaces
        the stored one.

    Returns:
      Whether it is the best.
    """
    value, best = score['value'], self.best()
    if anew:
      best = None
    elif best and any(
      best.get(k, score.get(k)) != score.get(k) for k in _KINDS
    ):
      best = None  # config.checkpoint.best or config.eval.network has changed
    if value is None or not value > (best['value'] if best else -math.inf):
      return False
    if self._best is None:
      self._best = self._best_manager()
    number = self._best.latest_step()
    if self._base is not None:
      variables = adapted.without(self._base, variables)
    items = ocp.args.Composite(
      **{
        stored.NET: ocp.args.StandardSave(variables),
        stored.SCORE: ocp.args.JsonSave({'step': step, **score}),
      }
    )
    with checksums.writing(self._workdir):
      return self._best.save(0 if number is None else number + 1, args=items)

  def best(self) -> dict[str, Any] | None:
    """Returns the best score so far with its `step`, None without any."""
    self.wait()
    if self._best is None:
      return None
    number = self._best.latest_step()
    if number is None:
      return None
    return self._best.restore(
      number, args=ocp.args.Composite(**{stored.SCORE: ocp.args.JsonRestore()})
    )[stored.SCORE]

  def wait(self) -> None:
    """Waits until everything is on disk."""
    with checksums.writing(self._workdir):
      for manager in self._managers():
        manager.wait_until_finished()


def _manager(
  folder: pathlib.Path, every_steps: int, keep: int, keep_every: int = 0
) -> ocp.CheckpointManager:
  """Opens a folder of checkpoints that are written with checksums."""

  def finish():  # once all files are written, before the folder gets its name
    for unfinished in _half_written(folder):
      checksums.write(unfinished)

  kept: list[Any] = [_policies.LatestN(keep)]
  if keep_every:
    kept.append(_policies.EveryNSteps(keep_every))
  return ocp.CheckpointManager(
    folder,
    options=ocp.CheckpointManagerOptions(
      save_decision_policy=_policies.FixedIntervalPolicy(every_steps),
      preservation_policy=_policies.AnyPreservationPolicy(kept),
      async_options=ocp.options.AsyncOptions(post_finalization_callback=finish),
      # Process 0 lists them: a network file system shows folders late.
      single_host_load_and_broadcast=True,
    ),
  )


def _half_written(folder: pathlib.Path) -> list[pathlib.Path]:
  return list(folder.glob(f'*{ocp.utils.TMP_DIR_SUFFIX}*'))


def _remove_half_written(folder: pathlib.Path) -> None:
  """Removes the unfinished last write of a killed run."""
  for path in _half_written(folder):
    shutil.rmtree(path)
