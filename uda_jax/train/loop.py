"""The loop: restore, step, write, evaluate, save; no maths."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
import dataclasses
import functools
import itertools
from typing import Any, NamedTuple

from absl import logging
import jax
import numpy as np

from uda_jax import methods
from uda_jax import models
from uda_jax import parallel
from uda_jax import types
from uda_jax.data import image_size
from uda_jax.evaluate import evaluator
from uda_jax.evaluate import reports as reports_lib
from uda_jax.evaluate import selection
from uda_jax.runs import checkpoint
from uda_jax.runs import provenance
from uda_jax.runs import writers
from uda_jax.train import checks
from uda_jax.train import round_mining
from uda_jax.train import rounds
from uda_jax.train import setup
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib

Run = setup.Run


class Preempted(Exception):
  """The run was asked to stop; everything is saved."""


class TrainingFailed(Exception):
  """The loss or the gradient stayed non-finite."""


class Result(NamedTuple):
  """What a run made.

  Attributes:
    run: what it was built of.
    variables: the evaluated network, at the last step.
    reports: by network, the scores; see `reports.report`.
  """

  run: Run
  variables: types.Variables
  reports: dict[str, dict[str, Any]]


def _check_finite(metrics: dict[str, jax.Array], limit: int, step: int) -> None:
  """Raises after `limit` non-finite steps in a row, naming the bad terms."""
  if int(metrics['nonfinite']) < limit:
    return
  bad = [name for name, value in metrics.items() if not np.isfinite(value)]
  raise TrainingFailed(
    f'step {step}: the loss or the gradient was not finite for {limit} '
    f'steps in a row (config.log.max_nonfinite); not finite: '
    f'{", ".join(bad)}. Nothing was updated in these steps; the last '
    'checkpoint is good. Try a lower config.schedule.learning_rate.'
  )


def _make_steps(run: Run) -> Callable[[int], tuple[Callable, Callable]]:
  """Returns f(phase) -> the train step and the panels, compiled once each."""
  return functools.cache(
    lambda phase: (
      step_lib.make_train_step(
        run.recipe, run.mesh, run.config.batch.groups, phase=phase
      ),
      step_lib.make_panels(run.recipe, run.mesh, phase=phase),
    )
  )


def _loop(
  run: Run,
  steps: Callable[[int], tuple[Callable, Callable]],
  batches: Iterable[types.Batch],
  state,
  saved: checkpoint.Checkpoints,
  writer: writers.Writer,
  score: evaluator.Score,
) -> types.TrainState:
  """One step a batch, from the state's step on; returns the last state.

  The order matters: a checkpoint is asked for after every step, so that a
  preemption notice that all processes share is acted on by all at once.
  """
  config, starts = run.config, run.recipe.method.starts
  previous = None
  step = int(state.step)
  for batch in batches:
    batch = parallel.to_global(batch, run.mesh)
    train_step, panels = steps(bisect.bisect_right(starts, step))
    if config.log.panels_every and step % config.log.panels_every == 0:
      with writer.paused('pictures'):
        writer.panels(step, panels(state, batch, run.frozen))
    state, metrics = train_step(state, batch, run.frozen)
    step += 1
    # One step late, so that the devices never wait for the host.
    if previous is not None:
      _check_finite(previous, config.log.max_nonfinite, step - 1)
    previous = metrics
    writer.step(step, metrics)
    if config.eval.every and step % config.eval.every == 0:
      _evaluate(run, state, step, saved, writer, score)
    saved.save(step, state)
    if saved.reached_preemption(step):
      saved.save(step, state, force=True)
      saved.wait()
      raise Preempted(
        f'stopped at step {step}, saved in {run.workdir}; the '
        'same command resumes'
      )
  if previous is not None:
    _check_finite(previous, config.log.max_nonfinite, step)
  return state


def _rounds(
  run: Run,
  state,
  saved: checkpoint.Checkpoints,
  writer: writers.Writer,
  loop: Callable,
) -> types.TrainState:
  """One round after the other, each on labels that the network has made."""
  functions = round_mining.make_functions(run)
  while not rounds.finished(run.config, state):
    if rounds.over(state):
      # What a round learns from is a function of this checkpoint.
      saved.save(int(state.step), state, force=True)
      saved.wait()
      with writer.paused('ranking the target images'):
        state = rounds.begin(run, functions, state)
    writer.until(
      run.config.steps or int(state.round.first_step + state.round.length)
    )
    state = loop(rounds.batches(run, state), state)
  return state


def _evaluate(
  run: Run, state, step: int, saved, writer, score: evaluator.Score
) -> None:
  """Scores the evaluated network and keeps it if it is the best so far."""
  variables, other = _evaluated(run, state)
  with writer.paused('evaluation'):
    report = score(variables, other)
    _keep_best(run, step, variables, report, saved, writer)


def _evaluated(
  run: Run, state
) -> tuple[types.Variables, types.Variables | None]:
  """The evaluated network, and the other of student and teacher, if any."""
  pair = state.student, state.teacher
  return pair if run.config.eval.network == 'student' else pair[::-1]


def _keep_best(run: Run, step: int, variables, report, saved, writer) -> None:
  """Logs an evaluation and keeps the network if it is the best so far."""
  writer.report(step, report)
  score = selection.score(run.config, report)
  if saved.save_best(step, variables, score) and jax.process_index() == 0:
    logging.info(
      'step %d is the best so far, %s (%s %.4f)',
      step,
      selection.describe(run.config),
      score['metric'],
      score['value'],
    )


def _finish(run: Run, state, saved, writer, score: evaluator.Score) -> Result:
  """Evaluates what the run made, and writes the results."""
  evaluated = run.config.eval.network
  candidates = {'student': (state.student, state.teacher)}
  if state.teacher is not None:
    candidates['teacher'] = state.teacher, state.student
  if run.config.eval.target_statistics:
    candidates['student, target statistics'] = (
      setup.adapted_statistics(
        run, state.student, run.config.eval.target_statistics
      ),
      None,
    )
  reports = {name: score(*pair) for name, pair in candidates.items()}
  step = int(state.step)
  variables = candidates[evaluated][0]
  _keep_best(run, step, variables, reports[evaluated], saved, writer)
  saved.save(step, state, force=True)
  saved.wait()
  notes = [
    f'Evaluated on {run.data.evaluation.name}, '
    f'{len(run.data.evaluation.image_paths)} images, at the last step. '
    f'This run reports the {evaluated}.',
    f'Image sizes: {image_size.describe(run.config.data)}.',
  ]
  best = saved.best() if run.config.eval.every else None
  if best:
    words = selection.describe(run.config)
    reports['best'] = best['report'] | {'step': best['step'], 'selected': words}
    notes.append(
      f'The best is the {evaluated} at step {best["step"]}, {words} '
      f'({best["metric"]}).'
    )
  if jax.process_index() == 0:
    reports_lib.write_results(run.workdir, reports, notes)
    logging.info(
      'results in %s\n%s',
      run.workdir / 'results.txt',
      reports_lib.format_table(reports),
    )
  return Result(run, variables, reports)


def run(config, workdir: str) -> Result:
  """Trains, or resumes, or finds that all is done; returns the results.

  Args:
    config: a leaf's ConfigDict.
    workdir: the run's directory; what an earlier start left there is resumed.

  Returns:
    The evaluated network and the reports, see `reports.report`.

  Raises:
    Preempted: SIGTERM came; everything is saved.
    TrainingFailed: too many non-finite steps in a row.
    ValueError, OSError: a bad config, bad data or a bad directory; the message
      says what was expected and what was found.
  """
  workdir = checks.check_workdir(workdir)
  this, student = setup.build(config, workdir)
  data = this.data
  counts = {
    f'{name}: {d.name}': len(d.image_paths)
    for name, d in data._asdict().items()
  }
  origin = models.provenance(config)
  provenance.run_manifest(
    workdir,
    config,
    {
      'method': methods.full_name(config.method),
      'images': counts,
      'classes': {
        'names': data.source.class_names,
        'palette': data.source.palette,
      },
      'weights': dataclasses.asdict(origin) if origin else None,
    },
  )
  writers.log_start(student, this.mesh, counts)
  if origin:
    logging.info('%s', origin)
  writer = writers.Writer(
    workdir,
    num_steps=config.steps,
    every=config.log.every,
    seconds=config.log.seconds,
    images_per_step=(1 + this.recipe.method.uses_target)
    * config.batch.groups
    * config.batch.group_size,
    palette=data.source.palette,
    class_names=data.source.class_names,
  )
  saving = checkpoint.Checkpoints(workdir, every_steps=config.checkpoint.every)
  with saving as saved, writer:
    # Rounds have batches of their own.
    first, batches = _peeked(
      this, 0 if config.get('rounds') else saved.latest_step() or 0
    )
    state = state_lib.start_or_restore(this, student, first, saved)
    score = evaluator.make_score(this)
    steps = _make_steps(this)
    loop = lambda batches, state: _loop(
      this, steps, batches, state, saved, writer, score
    )
    if config.get('rounds'):
      state = _rounds(this, state, saved, writer, loop)
    else:
      state = loop(batches, state)
    return _finish(this, state, saved, writer, score)


def _peeked(run: Run, step: int) -> tuple[types.Batch, Iterator[types.Batch]]:
  """A batch of this run, for its shapes, and all batches from `step` on."""
  batches = setup.batches(run, step)
  first = next(batches, None)
  if first is None:  # all steps are done
    return next(setup.batches(run, 0)), batches
  return first, itertools.chain([first], batches)
