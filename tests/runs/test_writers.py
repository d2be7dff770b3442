"""Progress, curves and start-up lines."""

import jax
import numpy as np
from PIL import Image
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

from tests import tiny
from uda_jax import parallel
from uda_jax.runs import writers


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
  assert writers.duration(seconds) == text


def test_progress_leaves_compiling_and_pauses_out():
  clock = Clock()
  progress = writers.Progress(1000, 4, clock=clock)
  clock.now = 60  # compiling
  assert progress.line(1, {}) == 'step 1/1000 (0%)'
  clock.now += 99 * 0.1
  with progress.paused():
    clock.now += 500
  metrics = {'loss/total': 0.53219, 'learning_rate': 0.0082, 'grad_norm': 3.0}
  assert progress.line(100, metrics) == (
    'step 100/1000 (10%)  loss 0.532  lr 0.0082  40.0 img/s  ETA 1m30s'
  )
  clock.now += 300 * 0.2
  assert progress.line(400, metrics).endswith('20.0 img/s  ETA 2m00s')


def _curves(workdir):
  events = event_accumulator.EventAccumulator(str(workdir / 'curves'))
  events.Reload()
  return events


def _values(events, name):
  return {
    e.step: float(tensor_util.make_ndarray(e.tensor_proto))
    for e in events.Tensors(name)
  }


def test_curves_pictures_and_lines_of_a_run(tmp_path, caplog):
  caplog.set_level('INFO')
  with writers.Writer(
    tmp_path,
    num_steps=7,
    images_per_step=4,
    every=3,
    seconds=0.0,
    palette=((255, 0, 0), (0, 255, 0)),
    class_names=('road', 'sky'),
  ) as writer:
    for step in range(1, 8):
      writer.step(
        step, {'loss/total': jax.numpy.float32(step / 8), 'learning_rate': 1e-3}
      )
    image = np.zeros((2, 6, 8, 3), np.uint8)
    writer.panels(
      7,
      {
        'source': image,
        'label': np.zeros((2, 6, 8), np.int32),
        'weight': np.ones((2, 6, 8), np.float32),
      },
    )
    with writer.paused('evaluation'):
      pass
    writer.report(
      7,
      {
        'miou': {'2 classes': 0.5},
        'pixel_accuracy': 0.75,
        'iou': {'road': 0.5, 'sky': None},
      },
    )
  events = _curves(tmp_path)
  assert _values(events, 'loss/total') == {3: 0.375, 6: 0.75, 7: 0.875}
  assert _values(events, 'eval/miou/2 classes') == {7: 0.5}
  names = events.Tags()['tensors']
  assert 'eval/iou/road' in names and 'eval/iou/sky' not in names
  # Width, height, then one encoded strip an image.
  strips = tensor_util.make_ndarray(events.Tensors('panels')[0].tensor_proto)
  assert [int(x) for x in strips[:2]] == [8 * 3 + 2 * 8, 6]
  assert len(strips) == 4
  with Image.open(tmp_path / 'panels/step_000007.png') as page:
    assert page.width == 3 * 320 + 4 * 8
  lines = [r.getMessage() for r in caplog.records]
  assert any(
    line.startswith('step 3/7 (42%)  loss 0.375  lr 0.001') for line in lines
  )
  assert any('evaluation took 0s' in line for line in lines)
  assert any(
    line == 'step 7: eval/miou/2 classes 50.00, eval/pixel_accuracy 75.00'
    for line in lines
  )


def test_an_interval_of_nothing_names_its_field(tmp_path):
  with pytest.raises(ValueError, match=r'config\.log\.every.*got 0'):
    writers.Writer(tmp_path, num_steps=1, images_per_step=1, every=0)


def test_other_processes_write_nothing(tmp_path, monkeypatch):
  monkeypatch.setattr(jax, 'process_index', lambda: 1)
  with writers.Writer(
    tmp_path, num_steps=1, images_per_step=1, every=1
  ) as writer:
    writer.step(1, {'loss/total': 1.0})
    writer.panels(1, {'image': np.zeros((1, 2, 2, 3), np.uint8)})
  assert not list(tmp_path.iterdir())


def test_start_says_devices_images_and_parameters(caplog):
  caplog.set_level('INFO')
  variables = tiny.network(4).init(jax.random.key(0), (8, 8))
  writers.log_start(variables, parallel.make_mesh(2), {'day': 400, 'dusk': 30})
  text = '\n'.join(r.getMessage() for r in caplog.records)
  assert 'devices: 2 x cpu (cpu), processes: 1' in text
  assert 'images: day 400, dusk 30' in text
  assert text.endswith('all parameters             17')


def test_parameters_are_summed_by_module():
  params = {
    'encoder': {'a': {'w': np.zeros((10, 200))}, 'b': np.zeros(3)},
    'head': {'w': np.zeros((4, 2))},
  }
  assert writers.parameter_table(params).split() == [
    'encoder',
    '2,003',
    'head',
    '8',
    'all',
    'parameters',
    '2,011',
  ]
