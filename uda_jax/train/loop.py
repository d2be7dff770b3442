"""The training loop: restore, step, log, evaluate, save; no maths."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
import contextlib
import itertools
import os
from typing import Any, NamedTuple

import jax
import numpy as np

from uda_jax import parallel
from uda_jax import types
from uda_jax.runs import compile_cache
from uda_jax.runs import lock
from uda_jax.runs import loggers as loggers_lib
from uda_jax.runs import progress as progress_lib
from uda_jax.train import checks
from uda_jax.train import interrupts
from uda_jax.train import later_phases
from uda_jax.train import parts as parts_lib
from uda_jax.train import peers as peers_lib
from uda_jax.train import round_mining
from uda_jax.train import rounds
from uda_jax.train import setup
from uda_jax.train import state as state_lib

Run = setup.Run
Parts = parts_lib.Parts


class TrainingFailed(Exception):
  """The loss or the gradient stayed non-finite."""


class Result(NamedTuple):
  """The outcome of a run.

  Attributes:
    run: config, data, network and method.
    variables: those of the network that the run reports, at the last step.
    reports: scores by network; see `reports.report`.
  """

  run: Run
  variables: types.Variables
  reports: dict[str, dict[str, Any]]


def _check_finite(
  metrics: dict[str, jax.Array], parts: Parts, step: int
) -> None:
  """Raises after `log.max_nonfinite` bad steps in a row, naming the terms."""
  limit = parts.run.config.log.max_nonfinite
  if int(metrics['nonfinite']) < limit:
    return
  bad = [name for name, value in metrics.items() if not np.isfinite(value)]
  saved = parts.saved.latest_step()
  raise TrainingFailed(
    f'step {step}: the loss or the gradient was not finite for {limit} '
    f'steps in a row (config.log.max_nonfinite); not finite: '
    f'{", ".join(bad)}. Nothing was updated in these steps; '
    + ('there is no checkpoint yet' if saved is None else '')
    + (f'the checkpoint of step {saved} is good' if saved is not None else '')
    + '. Try a lower config.schedule.learning_rate.'
  )


def _loop(
  parts: Parts, batches: Iterable[types.Batch], state: types.TrainState
) -> types.TrainState:
  """Does one step per batch, from the state's step on; returns the last state.

  A signal saves the state at once and raises `interrupts.Stop`.
  """
  step = int(state.step)
  previous = None
  try:
    parts.evaluations.resume(state)
    if parts.evaluations.should_stop(step):
      return state
    parts.watchdog.begin(step)
    for batch in batches:
      batch = parallel.to_global(batch, parts.run.mesh)
      with parts.watchdog.paused(step):
        if previous is None:
          later_phases.check(parts.run, state, batch)
          parts.evaluations.set_aside()
        train_step = _prepare(parts, state, batch, step)
      parts.interrupts.hold()
      state, metrics = train_step(state, batch, parts.run.frozen)
      step += 1
      # One step late, so that the devices never wait for the host.
      if previous is not None:
        _check_finite(previous, parts, step - 1)
      previous = metrics
      parts.peers.step = step
      with parts.watchdog.done(step):
        stopping = _after_step(parts, state, metrics, step)
      if stopping:
        break
  except interrupts.Stop:
    parts.saved.save(step, state, force=True)
    raise
  finally:
    parts.watchdog.rest()
  if previous is not None:
    _check_finite(previous, parts, step)
  return state


def _prepare(
  parts: Parts, state: types.TrainState, batch: types.Batch, step: int
) -> jax.stages.Compiled:
  """Shows the panels if it is time to; returns the compiled train step."""
  run, programs = parts.run, parts.programs
  phase = bisect.bisect_right(run.recipe.method.starts, step)
  every = run.config.log.panels_every
  shows = every and step % every == 0
  # A later phase compiles in the middle of a run.
  with parts.writer.uncounted():
    train_step = programs.train_step(state, batch, phase)
    panels = programs.panels(state, batch, phase) if shows else None
  if panels is not None:
    with parts.writer.paused('pictures'):
      parts.writer.panels(step, panels(state, batch, run.frozen))
  return train_step


def _after_step(
  parts: Parts, state: types.TrainState, metrics, step: int
) -> bool:
  """Logs, evaluates and saves; returns whether training stops early."""
  every = parts.run.config.eval.every
  parts.writer.step(step, metrics)
  stop = False
  if every and step % every == 0:
    parts.evaluations.evaluate(state)
    stop = parts.evaluations.should_stop(step)
  parts.lock.check()
  parts.saved.save(step, state)
  parts.interrupts.poll()
  return stop


def _rounds(parts: Parts, state: types.TrainState) -> types.TrainState:
  """Trains round after round on the network's own labels (LSE)."""
  run, saved = parts.run, parts.saved
  functions = round_mining.make_functions(run)
  while not rounds.finished(run.config, state):
    if rounds.over(state):
      # The images and labels of a round are a function of this checkpoint.
      saved.save(int(state.step), state, force=True)
      saved.wait()
      with parts.writer.paused('ranking the target images'):
        state = rounds.begin(run, functions, state, parts.interrupts.poll)
    parts.writer.until(
      run.config.steps or int(state.round.first_step + state.round.length)
    )
    state = _loop(parts, rounds.batches(run, state), state)
  return state


def run(
  config: types.Config,
  workdir: str | os.PathLike,
  *,
  progress: bool = True,
  handler: interrupts.Interrupts | None = None,
  loggers: Sequence[loggers_lib.Logger] = (),
) -> Result:
  """Trains from scratch or from the latest checkpoint; returns the results.

  Args:
    config: a ConfigDict of `configs/`.
    workdir: the run's directory; a run that it holds is resumed.
    progress: whether to log; see `train.run`.
    handler: handles signals already; default: one for the time of the call.
    loggers: see `train.run`.

  Returns:
    The evaluated network and its scores.

  Raises:
    interrupts.Preempted: SIGTERM or SIGHUP came; everything is saved.
    interrupts.Interrupted: Ctrl-C came; everything is saved.
    TrainingFailed: too many non-finite steps in a row.
    ValueError, OSError: a bad config, bad data or a bad directory; the message
      says what was expected and what was found.
  """
  path = checks.check_workdir(workdir)
  checks.check_config(config)
  with (
    progress_lib.log_lines(progress and jax.process_index() == 0),
    compile_cache.using(config.compile_cache) as cache,
    contextlib.nullcontext(handler)
    if handler
    else interrupts.Interrupts() as handler,
    contextlib.ExitStack() as stack,
  ):
    handler.agree_with(parallel.Agreement())
    if jax.process_count() > 1:
      # The others would wait for a process that is gone.
      handler.hold()
    held = lock.Lock(path)
    with peers_lib.Peers(
      config.parallel.heartbeat_seconds,
      alike=(interrupts.Preempted, interrupts.Interrupted, TrainingFailed),
      cleanup=held.release,
    ) as peers:
      if jax.process_index() == 0:
        stack.enter_context(held)
        handler.before_end(held.release)
      handler.check()
      this, student = setup.build(config, path)
      handler.check()
      parts_lib.write_manifest(this)
      # Left after `peers`: closing waits for the other processes, which must
      # know before if this one failed.
      parts = stack.enter_context(
        parts_lib.opened(this, cache, handler, held, peers, loggers)
      )
      return _train(parts, student)


def _train(parts: Parts, student: types.Variables) -> Result:
  """Trains to the end from these initial variables, or from a checkpoint."""
  run, saved = parts.run, parts.saved
  in_rounds = run.config.rounds is not None
  # Rounds make batches of their own.
  first, batches = _peeked(run, 0 if in_rounds else saved.latest_step() or 0)
  parts.interrupts.check()
  state = state_lib.start_or_restore(run, student, first, saved)
  parts.interrupts.check()
  try:
    state = _rounds(parts, state) if in_rounds else _loop(parts, batches, state)
    variables, reports = parts.evaluations.finish(state)
    saved.wait()
  except interrupts.Stop as stop:
    saved.wait()
    raise parts.interrupts.error(
      f'stopped at step {saved.latest_step()}, saved in {run.workdir}; the '
      'same command resumes'
    ) from stop
  return Result(run, variables, reports)


def _peeked(run: Run, step: int) -> tuple[types.Batch, Iterator[types.Batch]]:
  """Returns a batch of this run, for its shapes, and all from `step` on."""
  batches = setup.batches(run, step)
  first = next(batches, None)
  if first is None:  # all steps are done
    return next(setup.batches(run, 0)), batches
  return first, itertools.chain([first], batches)
