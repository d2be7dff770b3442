"""Tests of the log lines: where they go, speed, time left."""

import logging
import sys

from absl import logging as absl_logging
import pytest

from uda_jax import duration
from uda_jax.runs import progress


class Clock:
  now = 0.0

  def __call__(self):
    return self.now


@pytest.mark.parametrize(
  'seconds, text',
  [
    (0.4, '0s'),
    (59, '59s'),
    (72, '1m12s'),
    (3599.6, '1h00m'),
    (7620, '2h07m'),
    (86400 * 3 + 3600 * 4, '3d04h'),
  ],
)
def test_duration(seconds, text):
  assert duration.text(seconds) == text


def test_progress_leaves_compiling_and_pauses_out():
  clock = Clock()
  shown = progress.Progress(1000, 4, clock=clock)
  clock.now = 60  # compiling
  assert shown.line(1, {}) == 'step 1/1000 (0%)'
  clock.now += 99 * 0.1
  with shown.paused():
    clock.now += 500
  metrics = {'loss/total': 0.53219, 'learning_rate': 0.0082, 'grad_norm': 3.0}
  assert shown.line(100, metrics) == (
    'step 100/1000 (10%)  loss 0.532  lr 0.0082  40.0 img/s  ETA 1m30s'
  )
  clock.now += 300 * 0.2
  assert shown.line(400, metrics).endswith('20.0 img/s  ETA 2m00s')


@pytest.fixture(autouse=True)
def _level():
  logger = absl_logging.get_absl_logger()
  before = logger.level
  yield
  logger.setLevel(before)


def _bare_logger(monkeypatch):
  """Returns absl's logger as a program finds it that has set up no logging."""
  logger = absl_logging.get_absl_logger()
  monkeypatch.setattr(logging.root, 'handlers', [])
  monkeypatch.setattr(logger, 'handlers', [])
  # The last resort of `logging`, bound to the stderr of this test.
  monkeypatch.setattr(logging, 'lastResort', logging.StreamHandler(sys.stderr))
  logger.setLevel(logging.WARNING)
  return logger


def test_lines_show_without_any_set_up(monkeypatch, capsys):
  bare_logger = _bare_logger(monkeypatch)
  with progress.log_lines(True):
    absl_logging.info('step 1')
  bare_logger.info('after')
  assert capsys.readouterr().err.endswith(' step 1\n')
  assert bare_logger.level == logging.WARNING and not logging.root.handlers


def test_no_progress_shows_warnings_alone(monkeypatch, capsys):
  bare_logger = _bare_logger(monkeypatch)
  bare_logger.setLevel(logging.INFO)
  with progress.log_lines(False):
    bare_logger.info('step 1')
    bare_logger.warning('lost')
  assert capsys.readouterr().err == 'lost\n'
  assert bare_logger.level == logging.INFO


def test_lines_go_to_the_caller_s_handlers(monkeypatch, capsys):
  bare_logger = _bare_logger(monkeypatch)
  records = []
  handler = logging.Handler()
  handler.emit = records.append
  bare_logger.addHandler(handler)
  with progress.log_lines(True):
    bare_logger.info('step 1')
  assert [r.getMessage() for r in records] == ['step 1']
  assert not capsys.readouterr().err
