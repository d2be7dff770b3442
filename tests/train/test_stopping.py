"""Signals during an evaluation and a ranking: saved, and nothing lost."""

import os
import pathlib
import shutil
import signal
import time

import pytest

from tests import lse_leaf
from tests import tiny_leaf
from uda_jax.data import pipeline
from uda_jax.runs import lock
from uda_jax.runs import writers
from uda_jax.train import interrupts
from uda_jax.train import loop

EVAL_BATCHES = pipeline.eval_batches


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

    monkeypatch.setattr(pipeline, 'eval_batches', with_signal)

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
    _run(lse_leaf.get_config(), tmp_path / 'run', tmp_path, **changes)
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
    tiny_leaf.get_config(), tmp_path / 'run', tmp_path, **changes
  )
  signal_at(1)
  with pytest.raises(interrupts.Preempted, match='stopped at step 2, saved'):
    run()
  assert _saved(tmp_path / 'run') == ['2']
  # This run's first is the one of step 4.
  signal_at(1)
  with pytest.raises(interrupts.Preempted, match='stopped at step 4, saved'):
    run()
  assert '4' in _saved(tmp_path / 'run')
  # A longer run goes on from there.
  result = _run(
    tiny_leaf.get_config(),
    tmp_path / 'run',
    tmp_path,
    **changes | {'steps': 6, 'eval.every': 0},
  )
  assert result.reports['teacher']
  assert '6' in _saved(tmp_path / 'run')


def test_a_directory_that_is_gone_ends_the_run(tmp_path, monkeypatch):
  workdir = tmp_path / 'run'
  monkeypatch.setattr(lock, '_BEAT', 0.01)

  def examples(*args, **kwargs):
    shutil.rmtree(workdir)
    time.sleep(0.5)

  monkeypatch.setattr(writers.Writer, 'examples', examples)
  with pytest.raises(lock.Gone, match='the directory was removed'):
    _run(
      tiny_leaf.get_config(),
      workdir,
      tmp_path,
      **{'steps': 4, 'eval.every': 2, 'checkpoint.every': 1000},
    )
