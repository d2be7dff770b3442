"""What happens around a step of the loop."""

import types

from uda_jax.runs import progress
from uda_jax.train import loop


def test_a_phase_that_compiles_late_does_not_count_as_slow_steps():
  now = [0.0]
  shown = progress.Progress(100, 4, clock=lambda: now[0])

  def compiled(*_):
    now[0] += 1000
    return 'step'

  parts = types.SimpleNamespace(
    run=types.SimpleNamespace(
      config=types.SimpleNamespace(log=types.SimpleNamespace(panels_every=0)),
      recipe=types.SimpleNamespace(method=types.SimpleNamespace(starts=(2,))),
    ),
    programs=types.SimpleNamespace(train_step=compiled),
    writer=types.SimpleNamespace(uncounted=shown.paused),
  )
  shown.line(1, {})
  for step in (1, 2):
    assert loop._prepare(parts, None, None, step) == 'step'
    now[0] += 2
  assert shown.line(3, {}) == 'step 3/100 (3%)  2.0 img/s  ETA 3m14s'
