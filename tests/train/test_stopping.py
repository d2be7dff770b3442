"""Signals during an evaluation and a ranking: saved, and nothing lost."""

import contextlib
import os
import pathlib
import shutil
import signal
import time
import types

import pytest

from tests import lse_config
from tests import tiny_config
from uda_jax.data import splits
from uda_jax.runs import checkpoint
from uda_jax.runs import lock
from uda_jax.runs import writers
from uda_jax.train import evaluation
from uda_jax.train import interrupts
from uda_jax.train import loop

EVAL_BATCHES = splits.eval_batches
SAVE_BEST = checkpoint.Checkpoints.save_best


@pytest.fixture
def signal_at(monkeypatch):
  """Sends SIGTERM in the `number`-th pass over a split, at its first batch."""

  def arm(number):
    calls = []

    def with_signal(*args, **kwargs):
      calls.append(1)
      for i, batch in enumerate(EVAL_BATCHES(*args, **kwargs)):
        if len(calls) == number:
          assert i == 0, 'the signal was not obeyed'
          os.kill(os.getpid(), signal.SIGTERM)
        yield batch

    monkeypatch.setattr(splits, 'eval_batches', with_signal)

  return arm


def _run(config, workdir, tmp_path, **changes):
  config.devices = 1
  config.data.cache_dir = str(tmp_path / 'data')
  config.update_from_flattened_dict(changes)
  return loop.run(config, workdir)


def _saved(workdir: pathlib.Path) -> list[str]:
  return [path.name for path in (workdir / 'checkpoints').iterdir()]


def test_in_the_ranking_of_a_round(tmp_path, signal_at):
  changes = {'log.panels_every': 0, 'checkpoint.every': 1000}
  signal_at(1)
  with pytest.raises(interrupts.Preempted, match='stopped at step 6, saved'):
    _run(lse_config.get_config(), tmp_path / 'run', tmp_path, **changes)
  assert _saved(tmp_path / 'run') == ['6']


def test_during_evaluations(tmp_path, signal_at):
  changes = {
    'steps': 4,
    'eval.every': 2,
    'eval.batch_size': 1,
    'log.panels_every': 0,
    'checkpoint.every': 1000,
  }
  run = lambda: _run(
    tiny_config.get_config(), tmp_path / 'run', tmp_path, **changes
  )
  signal_at(1)
  with pytest.raises(interrupts.Preempted, match='stopped at step 2, saved'):
    run()
  assert _saved(tmp_path / 'run') == ['2']
  # This run's first is again the one of step 2, which was not finished.
  signal_at(2)
  with pytest.raises(interrupts.Preempted, match='stopped at step 4, saved'):
    run()
  assert '4' in _saved(tmp_path / 'run')
  # A longer run goes on from there.
  result = _run(
    tiny_config.get_config(),
    tmp_path / 'run',
    tmp_path,
    **changes | {'steps': 6, 'eval.every': 0},
  )
  assert result.reports['teacher']
  assert '6' in _saved(tmp_path / 'run')


def _fail(*_):
  raise OSError('no end')


def test_the_best_network_is_scored_as_a_later_start_does(
  tmp_path, monkeypatch
):
  values, last = {2: 1.0, 4: 0.5}, []

  def save_best(self, step, variables, score, **options):
    last.append((step, score['report']['pixels']))
    if options:
      # Even a lower score by another protocol replaces the stored one.
      values[step] *= 0.9
    score = score | {'value': values[step]}
    if len(last) == 1:
      # An earlier version stored no more.
      score = {k: score[k] for k in ('metric', 'value', 'report')}
    return SAVE_BEST(self, step, variables, score, **options)

  monkeypatch.setattr(checkpoint.Checkpoints, 'save_best', save_best)
  changes = {'steps': 4, 'eval.every': 2, 'log.panels_every': 0}
  run = lambda **more: _run(
    tiny_config.get_config(), tmp_path / 'run', tmp_path, **changes | more
  )
  best = run().reports['best']
  assert best['step'] == 2 and best['pixels'] > 4000
  reports = run(**{'eval.label_size': (8, 16)}).reports
  best, pixels = reports['best'], reports['teacher']['pixels']
  assert best['step'] == 2 and 0 < best['pixels'] == pixels <= 4 * 8 * 16
  # Scored anew in the first run, too, as an earlier version may have scored it.
  assert [step for step, _ in last] == [2, 2, 4, 2, 4]
  assert last[3:] == [(2, pixels), (4, pixels)]
  # Its row has the same means as the others, from which the tables are made.
  reports = run(
    **{'eval.label_size': (8, 16), 'eval.subsets': {'first two': range(2)}}
  ).reports
  assert 'first two' in reports['best']['miou']


def test_without_a_better_network(tmp_path, monkeypatch, caplog):
  values = {2: 1.0, 4: 2.0, 6: 2.0, 8: 1.5, 10: 3.0, 12: 0.0}
  metric = 'eval/label_free/prior'
  last = []

  def save_best(self, step, variables, score):
    last.append(step)
    return SAVE_BEST(
      self, step, variables, score | {'metric': metric, 'value': values[step]}
    )

  monkeypatch.setattr(checkpoint.Checkpoints, 'save_best', save_best)
  changes = {
    'steps': 12,
    'eval.every': 2,
    'eval.patience': 2,
    'eval.label_free.num_images': 2,
    'checkpoint.best': 'prior',
    'log.panels_every': 0,
    'checkpoint.every': 1000,
  }
  run = lambda **more: _run(
    tiny_config.get_config(), tmp_path / 'run', tmp_path, **changes | more
  )
  with caplog.at_level('INFO', logger='absl'):
    reports = run().reports
  assert last == [2, 4, 6, 8] and _saved(tmp_path / 'run') == ['8']
  assert 'stopped at step 8 of 12: no better network in 2 eval' in caplog.text
  assert reports['best']['step'] == 4
  assert reports['best']['label_free']['prior'] > 0
  text = (tmp_path / 'run/results.txt').read_text()
  assert 'Stopped at step 8 of 12: no better network in 2 evaluations' in text
  assert 'selected by prior, without target labels' in text
  # A second start trains no step more; more patience does.
  run()
  assert last == [2, 4, 6, 8, 8]
  earlier = tmp_path / 'run/earlier_results.txt'
  assert not earlier.exists()
  # Until its end the longer run has no results.
  with monkeypatch.context() as patch:
    patch.setattr(evaluation.Evaluations, 'finish', _fail)
    with pytest.raises(OSError, match='no end'):
      run(**{'eval.patience': 3})
  assert last[5:] == [10, 12] and not list((tmp_path / 'run').glob('results.*'))
  assert earlier.read_text() == text
  run(**{'eval.patience': 3})
  assert '12' in _saved(tmp_path / 'run') and earlier.read_text() == text


@pytest.mark.parametrize(
  'step, means, rows',
  [
    (6, {}, {'student', 'best'}),
    (2, {}, {'student'}),
    # Of other eval.subsets: tables have no such row.
    (6, {'things': 0.5}, {'student'}),
  ],
)
def test_the_best_network_of_a_run_that_got_longer(
  monkeypatch, caplog, step, means, rows
):
  """Without evaluations in between the best is the last, or of before."""
  fake = types.SimpleNamespace
  best = {'step': 2, 'report': {'miou': means}}
  own = evaluation.Evaluations.__new__(evaluation.Evaluations)
  own._run = fake(config=tiny_config.get_config())
  own._run.config.update_from_flattened_dict(
    {'eval.every': 0, 'eval.network': 'student', 'log.panels_every': 0}
  )
  own._saved = fake(
    save=lambda *args, **options: None, wait=lambda: None, best=lambda: best
  )
  own._writer = fake(paused=lambda what: contextlib.nullcontext())
  own._evaluator = fake(score=None, full_size=None)
  for name, value in (
    ('_pair', (None, None)),
    ('evaluate', {'miou': {}}),
    ('_networks', {'student': (None, None)}),
    ('_write_results', None),
  ):
    monkeypatch.setattr(own, name, lambda *args, value=value: value)
  _, reports = own.finish(fake(step=step))
  assert set(reports) == rows
  assert ('of step 2, is not in the results' in caplog.text) == bool(means)


def test_a_directory_that_is_gone_ends_the_run(tmp_path, monkeypatch):
  workdir = tmp_path / 'run'
  monkeypatch.setattr(lock, '_BEAT', 0.01)

  def examples(*args, **kwargs):
    shutil.rmtree(workdir)
    time.sleep(0.5)

  monkeypatch.setattr(writers.Writer, 'examples', examples)
  with pytest.raises(lock.Gone, match='the directory was removed'):
    _run(
      tiny_config.get_config(),
      workdir,
      tmp_path,
      **{'steps': 4, 'eval.every': 2, 'checkpoint.every': 1000},
    )
