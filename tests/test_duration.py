"""Durations as text, and the times of lines on progress."""

import time

import pytest

from uda_jax import duration


@pytest.mark.parametrize(
  ('seconds', 'text'),
  [(12.4, '12s'), (185, '3m05s'), (7620, '2h07m'), (273600, '3d04h')],
)
def test_text(seconds, text):
  assert duration.text(seconds) == text


def test_lines_are_due_now_and_then(monkeypatch):
  now = [100.0]
  monkeypatch.setattr(time, 'monotonic', lambda: now[0])
  timer = duration.LineTimer()
  due = []
  for now[0] in (104.0, 106.0, 110.0, 112.0):
    due.append(timer.line_is_due())
  assert due == [False, True, False, True]
  assert timer.seconds() == 12 and timer.left(3, 13) == '40s'
