"""Curves and pictures of a run."""

import io
import resource

import jax
import numpy as np
from PIL import Image
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

from uda_jax.runs import lock
from uda_jax.runs import writers


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
  caplog.set_level('INFO', logger='absl')
  with writers.Writer(
    tmp_path,
    num_steps=7,
    images_per_step=4,
    every=3,
    seconds=0.0,
    palette=((255, 0, 0), (0, 255, 0)),
    class_names=('road', 'sky'),
    method='self_training + masking',
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
    label = np.zeros((6, 8), np.int32)
    writer.examples(7, [(image[0], label, label)], 'student')
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
  # Width, height, then the encoded page: the file's, legend included.
  shown = tensor_util.make_ndarray(events.Tensors('panels')[0].tensor_proto)
  assert len(shown) == 3
  with Image.open(io.BytesIO(shown[2])) as page:
    page = np.asarray(page)
  file = Image.open(tmp_path / 'panels/step_000007.png')
  np.testing.assert_array_equal(page, np.asarray(file))
  assert 'evaluation' in names
  text = tensor_util.make_ndarray(events.Tensors('method')[0].tensor_proto)
  assert text.item() == b'self_training + masking'
  with Image.open(tmp_path / 'panels/evaluation_000007.png') as page:
    assert page.width == 4 * 320 + 5 * 8
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


def test_steps_that_are_trained_again_stand_once(tmp_path):
  def train(first, steps, value):
    with writers.Writer(
      tmp_path, num_steps=9, images_per_step=4, every=1, first_step=first
    ) as writer:
      for step in steps:
        writer.step(step, {'loss/total': np.float32(value)})

  train(0, range(1, 7), 1.0)
  # Killed while it wrote: half of a record.
  [file] = (tmp_path / 'curves').iterdir()
  with file.open('ab') as half:
    half.write(b'\x20')
  train(4, range(5, 8), 2.0)
  points = [
    (e.step, float(tensor_util.make_ndarray(e.tensor_proto)))
    for e in _curves(tmp_path).Tensors('loss/total')
  ]
  assert points == [
    *((i, 1.0) for i in range(1, 5)),
    (5, 2.0),
    (6, 2.0),
    (7, 2.0),
  ]


def test_a_full_disk_is_one_line(tmp_path):
  writer = writers.Writer(tmp_path, num_steps=9, images_per_step=1, every=1)
  limit = resource.getrlimit(resource.RLIMIT_FSIZE)
  try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    with pytest.raises(lock.Gone, match='a curve or a picture cannot be') as e:
      with writer:
        for step in range(1, 9):
          writer.step(step, {'loss/total': 1.0})
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
  assert '\n' not in str(e.value) and str(tmp_path) in str(e.value)


def test_a_damaged_event_file_stops_no_run(tmp_path):
  def write(first_step, steps):
    with writers.Writer(
      tmp_path, num_steps=9, images_per_step=1, every=1, first_step=first_step
    ) as writer:
      for step in steps:
        writer.step(step, {'loss/total': 1.0})

  write(0, (1, 2))
  [path] = (tmp_path / 'curves').iterdir()
  content = path.read_bytes()
  path.write_bytes(content + b'\x09' + bytes(11) + b'\xff' * 13)
  write(2, (3,))
  assert path.read_bytes() == content
  assert list(_values(_curves(tmp_path), 'loss/total')) == [1, 2, 3]
