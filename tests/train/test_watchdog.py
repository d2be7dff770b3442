"""The watchdog of slow steps."""

import time

from uda_jax.train import watchdog


def test_a_hanging_step_has_its_stacks_written_once(tmp_path, caplog):
  with watchdog.Watchdog(tmp_path, 5.0, process=1, least=0.2) as watch:
    watch.begin(0)
    for step in range(4):
      time.sleep(0.01)
      with watch.done(step + 1):
        time.sleep(0.3)  # an evaluation does not count
    assert not (tmp_path / 'stacks').exists()
    with watch.paused(4):
      time.sleep(0.3)  # compiling does not count
    watch.rest()
    time.sleep(0.3)  # nor what follows the last step
    assert not (tmp_path / 'stacks').exists()
    watch.begin(4)
    _hang()
  [path] = (tmp_path / 'stacks').iterdir()
  assert path.name == 'step_4_process_1.txt'
  assert '_hang' in path.read_text()
  [line] = [r.getMessage() for r in caplog.records]
  assert 'step 5 has taken' in line and str(path) in line


def _hang():
  time.sleep(0.6)


def test_it_can_be_switched_off(tmp_path):
  with watchdog.Watchdog(tmp_path, 0.0, least=0.01) as watch:
    for step in range(4):
      with watch.done(step):
        pass
    time.sleep(0.1)
  assert not list(tmp_path.iterdir())
