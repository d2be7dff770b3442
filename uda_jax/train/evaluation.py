"""Evaluations of a run: scores, example pictures, the best network, results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from absl import logging
import jax

from uda_jax import files
from uda_jax import parallel
from uda_jax import types
from uda_jax import words
from uda_jax.data import image_size
from uda_jax.evaluate import by_image
from uda_jax.evaluate import protocol
from uda_jax.evaluate import reports as reports_lib
from uda_jax.evaluate import selection
from uda_jax.runs import checkpoint
from uda_jax.runs import networks as networks_lib
from uda_jax.runs import writers
from uda_jax.train import evaluator as evaluator_lib
from uda_jax.train import setup
from uda_jax.train import target_statistics

Reports = dict[str, dict[str, Any]]

# Holds the step of an evaluation that is under way.
_UNDER_WAY = 'evaluating.txt'


class Evaluations:
  """Evaluates the networks of a run's state, during the run and at its end."""

  def __init__(
    self,
    run: setup.Run,
    saved: checkpoint.Checkpoints,
    writer: writers.Writer,
    between: Callable[[], None] = lambda: None,
  ):
    """Makes the functions; they compile at the first evaluation.

    Args:
      run: the run.
      saved: where the best network is kept.
      writer: where scores and pictures go.
      between: called after each batch; see `evaluator.make`.
    """
    self._run = run
    self._saved = saved
    self._writer = writer
    self._mark = run.workdir / _UNDER_WAY
    self._evaluator = evaluator_lib.make(run, between)
    self._last: tuple[int, dict[str, Any]] | None = None

  def evaluate(self, state: types.TrainState) -> dict[str, Any]:
    """Scores the evaluated network, and keeps it if it is the best so far."""
    step = int(state.step)
    if self._last is not None and self._last[0] == step:
      return self._last[1]
    variables, other = self._pair(state)
    config = self._run.config
    mark = self._mark
    if jax.process_index() == 0:
      files.write_atomically(mark, str(step).encode())
    with self._writer.paused('evaluation'):
      report = self._evaluator.score(variables, other)
      self._writer.report(step, report)
      if config.log.panels_every:
        self._writer.examples(
          step, self._evaluator.examples(variables), config.eval.network
        )
      self._keep_best(step, variables, report)
    if jax.process_index() == 0:
      mark.unlink(missing_ok=True)
    self._last = step, report
    return report

  def resume(self, state: types.TrainState) -> None:
    """Evaluates the state that a run resumes at, if a signal prevented it.

    A signal during an evaluation saves the state after it.
    """
    step, every, mark = int(state.step), self._run.config.eval.every, self._mark
    due = every and step % every == 0
    if due and parallel.of_first(
      lambda: mark.is_file() and mark.read_text() == str(step)
    ):
      self.evaluate(state)

  def set_aside(self) -> None:
    """Renames the results of a finished run that trains on."""
    if jax.process_index() == 0 and reports_lib.set_aside(self._run.workdir):
      logging.info(
        'the results until now are in earlier_results.json, .csv and .txt'
      )

  def should_stop(self, step: int) -> bool:
    """Returns whether `eval.patience` ends the run at this step."""
    config = self._run.config
    if not config.eval.patience:
      return False
    best = self._saved.best()
    if best is None or not selection.out_of_patience(config, step, best):
      return False
    logging.info(
      'stopped at step %d of %d: no better network in %d evaluations '
      '(config.eval.patience), %s; the best is that of step %d',
      step,
      config.steps,
      config.eval.patience,
      selection.describe(config),
      best['step'],
    )
    return True

  def finish(self, state: types.TrainState) -> tuple[types.Variables, Reports]:
    """Evaluates all networks of the last state, and writes the results.

    Args:
      state: the last one; saved if it is not yet.

    Returns:
      The network that the run reports, and the reports by name.
    """
    self._saved.save(int(state.step), state, force=True)
    variables, _ = self._pair(state)
    last = self.evaluate(state)
    score, evaluated = self._evaluator.score, self._run.config.eval.network
    networks = self._networks(state)
    with self._writer.paused('the last evaluation'):
      reports = {
        name: last if name == evaluated else score(*pair)
        for name, pair in networks.items()
      }
      self._saved.wait()
      best = self._best(int(state.step), last)
      if best:
        reports['best'] = best['report'] | self._selected(best)
      if self._evaluator.full_size:
        self._add_full_size(reports, networks, best)
    if self._run.config.log.panels_every:
      self._draw_images(int(state.step), variables, last)
    reports = reports_lib.with_sets(reports)
    self._write_results(reports, best, int(state.step))
    return variables, reports

  def _draw_images(
    self, step: int, variables: types.Variables, report: dict[str, Any]
  ) -> None:
    """Draws the worst, the best and random images, a page each."""
    count = len(self._run.data.evaluation.image_paths)
    pages = by_image.shown(report['images'])
    pages['random'] = by_image.random_numbers(count)
    wanted = sorted({number for page in pages.values() for number in page})
    with self._writer.paused('pictures of single images'):
      examples = self._evaluator.examples(variables, wanted)
      # Of several processes, the first one draws the images that it has.
      found = dict(zip(wanted, examples)) if jax.process_count() == 1 else {}
      for name, numbers in pages.items():
        rows = [found[i] for i in numbers if i in found]
        self._writer.images(step, rows, name)

  def _best(self, step: int, last: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the best score if it is a row of the results of this step."""
    best = self._saved.best()
    # Without evaluations the best is the last, except in a run that got longer.
    if best and not self._run.config.eval.every and best['step'] == step:
      return None
    if best and best['report']['miou'].keys() != last['miou'].keys():
      # Neither scored anew nor replaced, see `_keep_best`.
      logging.warning(
        'the best network, of step %d, is not in the results: it was scored by '
        'another config.eval; `uda_jax evaluate --network=best` scores it',
        best['step'],
      )
      return None
    return best

  def _selected(self, best: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of a report of the best network."""
    words = selection.describe(self._run.config)
    return {'step': best['step'], 'selected': words}

  def _add_full_size(self, reports: Reports, networks, best) -> None:
    """Adds a row against labels of full size for each network."""
    score = self._evaluator.full_size
    assert score is not None
    for name, (variables, _) in networks.items():
      reports[reports_lib.full_size(name)] = score(variables)
    if best:
      like = networks[self._run.config.eval.network][0]
      variables = networks_lib.load(self._run.workdir, 'best', like)
      reports[reports_lib.full_size('best')] = score(variables) | (
        self._selected(best)
      )

  def _pair(
    self, state: types.TrainState
  ) -> tuple[types.Variables, types.Variables | None]:
    """Returns the evaluated network, and the other of student and teacher."""
    student, teacher = self._whole(state.student, state.teacher)
    if self._run.config.eval.network == 'student':
      return student, teacher
    assert teacher is not None  # checks.check_config
    return teacher, student

  def _whole(self, *networks: types.Variables | None) -> tuple:
    """Returns networks that every device holds whole."""
    if self._run.config.parallel.shard == 'none':
      return networks
    return jax.device_put(networks, parallel.replicated(self._run.mesh))

  def _networks(self, state: types.TrainState) -> dict[str, tuple]:
    """Returns the networks to report by name, each with its counterpart."""
    student, teacher = self._whole(state.student, state.teacher)
    networks = {'student': (student, teacher)}
    if teacher is not None:
      networks['teacher'] = teacher, student
    if count := self._run.config.eval.target_statistics:
      adapted = target_statistics.adapted(self._run, student, count)
      networks['student, target statistics'] = adapted, None
    return networks

  def _keep_best(self, step: int, variables: types.Variables, report) -> None:
    config = self._run.config
    kind = {
      'network': config.eval.network,
      'scoring': selection.scoring(config),
    }
    self._score_best_anew(variables, kind)
    score = selection.score(config, report) | kind
    if self._saved.save_best(step, variables, score) and config.eval.every:
      logging.info(
        'step %d is the best so far, %s (%s %.4f)',
        step,
        selection.describe(config),
        score['metric'],
        score['value'],
      )

  def _score_best_anew(
    self, like: types.Variables, kind: dict[str, str]
  ) -> None:
    """Scores the best network again if an earlier start scored otherwise.

    Scores of two protocols do not compare, nor stand in one table.
    """
    config, best = self._run.config, self._saved.best()
    if best is None:
      return
    # Earlier versions did not store how they scored, nor which network it was.
    network = best.get('network', kind['network'])
    if kind.items() <= (best | {'network': network}).items():
      return
    # Agreement needs its counterpart, which is not stored.
    if config.checkpoint.best == 'agreement':
      return
    if network != kind['network']:
      return
    logging.info(
      'config.eval has changed: the best network, of step %d, is scored anew',
      best['step'],
    )
    variables = networks_lib.load(self._run.workdir, 'best', like)
    score = selection.score(config, self._evaluator.score(variables)) | kind
    self._saved.save_best(best['step'], variables, score, anew=True)

  def _write_results(
    self, reports: Reports, best: dict[str, Any] | None, step: int
  ) -> None:
    """Writes and logs the table; `best` is the best score, if any."""
    run = self._run
    evaluated, images = run.config.eval.network, run.data.evaluation
    when = 'best' if run.config.eval.checkpoint == 'best' else 'last'
    steps = 'at the last step and at the best' if best else 'at the last step'
    notes = [
      f'Evaluated on {images.name}, '
      f'{words.counted(len(images.image_paths), "image")}, {steps}. '
      f'This run reports the {evaluated} at the {when} step.',
      f'Image sizes: {image_size.describe(run.config.data)}.',
      f'Scoring: {protocol.describe(run.config.eval)}.',
    ]
    if run.config.eval.patience and step < run.config.steps:
      notes.append(
        f'Stopped at step {step} of {run.config.steps}: no better network in '
        f'{run.config.eval.patience} evaluations (config.eval.patience).'
      )
    if best:
      notes.append(
        f'The best is the {evaluated} at step {best["step"]}, '
        f'{selection.describe(run.config)} ({best["metric"]}).'
      )
    if jax.process_index() == 0:
      reports_lib.write_results(run.workdir, reports, notes)
      logging.info(
        'results in %s\n%s',
        run.workdir / 'results.txt',
        reports_lib.format_table(reports),
      )
