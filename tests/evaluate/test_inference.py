"""Predictions, windows, confusion matrices over devices, reports."""

import pathlib
import socket
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from tests.golden_checks import evaluation
from uda_jax import parallel
from uda_jax import types
from uda_jax.evaluate import counts
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.evaluate import windows

ROOT = pathlib.Path(__file__).parents[2]
NUM_CLASSES = 4


class Batch(NamedTuple):
  image: np.ndarray
  label: np.ndarray
  valid: np.ndarray
  index: np.ndarray


def _network():
  return tiny.network(NUM_CLASSES)


def _variables():
  return _network().init(jax.random.key(0), (8, 8))


def _batch(rows, seed=0, label_size=(6, 8)):
  random = np.random.default_rng(seed)
  return Batch(
    random.integers(0, 256, (rows, 6, 8, 3), dtype=np.uint8),
    random.integers(0, NUM_CLASSES, (rows, *label_size), dtype=np.int32),
    np.ones(rows, bool),
    np.arange(rows),
  )


def _expected(batches):
  """Counts with one image at a time and no device at all."""
  predict = inference.make_predict(_network())
  matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
  for batch in batches:
    for image, label in zip(batch.image, batch.label):
      prediction = predict(_variables(), image[None], label.shape)[0]
      known = label < NUM_CLASSES
      np.add.at(matrix, (label[known], prediction[known]), 1)
  return matrix


def test_golden_sliding_windows():
  path = ROOT / 'tests/golden/daformer_hrda/slide_inference.npz'
  names = set()
  for name, ours, golden, atol, rtol in evaluation.slide_inference(path):
    np.testing.assert_allclose(ours, golden, atol=atol, rtol=rtol, err_msg=name)
    names.add(name)
  assert len(names) == 15


def test_windows_of_a_pixelwise_network_change_nothing():
  images = _batch(2).image
  whole = inference.make_logits(_network())
  sliding = inference.make_logits(
    _network(), window=windows.Window((4, 5), (3, 2))
  )
  np.testing.assert_allclose(
    sliding(_variables(), images, (9, 9)),
    whole(_variables(), images, (9, 9)),
    atol=1e-5,
  )


def test_windows_are_averaged_by_visits():
  # A network that answers with the mean of what it sees: each window differs.
  forward = lambda params, stats, image, **_: (
    types.Outputs(
      jnp.broadcast_to(image.mean((1, 2), keepdims=True), image.shape)
    ),
    stats,
  )
  image = jnp.arange(5.0).reshape(1, 1, 5, 1) * jnp.ones(3)
  logits = windows.sliding_mean(
    lambda x: forward({}, {}, x)[0].logits,
    image,
    windows.Window((1, 3), (1, 1)),
  )
  # Windows 0-2, 1-3, 2-4 have the means 1, 2, 3.
  np.testing.assert_allclose(logits[0, 0, :, 0], [1, 1.5, 2, 2.5, 3])


def test_window_errors_name_the_field():
  predict = inference.make_predict(
    _network(), protocol.Protocol(windows.Window((6, 9), (3, 3)))
  )
  with pytest.raises(ValueError, match=r'eval\.window.*\(6, 8\).*\(6, 9\)'):
    predict(_variables(), _batch(1).image, (6, 8))
  with pytest.raises(ValueError, match='stride'):
    inference.make_predict(
      _network(), protocol.Protocol(windows.Window((4, 4), (0, 0)))
    )


@pytest.mark.parametrize('devices', [None, 1, 2, 4])
def test_uneven_batches_count_exactly_on_any_devices(devices):
  batches = [_batch(3, 0), _batch(3, 1), _batch(1, 2, label_size=(12, 15))]
  batches[1].label[0, :3] = 255
  mesh = devices and parallel.make_mesh(devices)
  variables = _variables()
  if mesh:
    variables = jax.device_put(variables, parallel.replicated(mesh))
  predict = inference.make_predict(_network(), mesh=mesh)
  matrix = counts.evaluate(predict, variables, batches, num_classes=NUM_CLASSES)
  assert matrix.dtype == np.int64
  np.testing.assert_array_equal(matrix, _expected(batches))
  assert matrix.sum() == 2 * 3 * 48 - 24 + 180
  images = batches[0].image
  np.testing.assert_array_equal(
    predict(variables, images, (5, 7)),
    inference.make_predict(_network())(_variables(), images, (5, 7)),
  )


def test_each_image_is_counted_in_order():
  """Batches in any order, with rows that fill them up."""
  batch = _batch(4)
  first = Batch(*(x[[3, 1]] for x in batch))
  last = Batch(*(x[[0, 2, 2]] for x in batch))
  last.valid[2] = False
  predict = inference.make_predict(_network())
  found = counts.count_images(
    predict, _variables(), [first, last], num_classes=NUM_CLASSES
  )
  np.testing.assert_array_equal(found.index, range(4))
  for i in range(4):
    one = Batch(*(x[i : i + 1] for x in batch))
    np.testing.assert_array_equal(found.matrix[i], _expected([one]))
  _, confidence = predict.with_confidence(_variables(), batch.image, (6, 8))
  np.testing.assert_allclose(
    found.confidence, confidence.mean((1, 2)), rtol=1e-6
  )


def test_filling_rows_and_labels_out_of_range_do_not_count():
  batch = _batch(4)
  batch.valid[2:] = False
  batch.label[0] = 255
  matrix = counts.evaluate(
    inference.make_predict(_network()),
    _variables(),
    [batch],
    num_classes=NUM_CLASSES,
  )
  np.testing.assert_array_equal(
    matrix,
    _expected([Batch(*(x[1:2] for x in batch))]),
  )


def test_no_batch_is_an_error():
  with pytest.raises(ValueError, match='at least one batch'):
    counts.evaluate(
      inference.make_predict(_network()),
      _variables(),
      [],
      num_classes=NUM_CLASSES,
    )


_TWO_PROCESSES = """
import sys
import jax
jax.config.update('jax_num_cpu_devices', 2)
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
from tests.evaluate import test_inference as t
from uda_jax import parallel
from uda_jax.evaluate import counts
from uda_jax.evaluate import inference
mesh = parallel.make_mesh()
variables = jax.jit(t._variables, out_shardings=parallel.replicated(mesh))()
share = [t.Batch(*(x[3 * jax.process_index():][:3] for x in t._batch(6, seed)))
         for seed in (0, 1)]
predict = inference.make_predict(t._network(), mesh=mesh)
matrix = counts.evaluate(
    predict, variables, share, num_classes=t.NUM_CLASSES)
own = predict(variables, share[0].image, (6, 8))
print(matrix.tolist(), own.shape, own.sum())
"""


def test_two_processes_count_everything_once():
  with socket.socket() as free:
    free.bind(('localhost', 0))
    address = f'localhost:{free.getsockname()[1]}'
  processes = [
    subprocess.Popen(
      [sys.executable, '-c', _TWO_PROCESSES, address, str(i)],
      cwd=ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for i in range(2)
  ]
  outputs = [process.communicate(timeout=120) for process in processes]
  batches = [_batch(6, 0), _batch(6, 1)]
  labels = inference.make_predict(_network())(
    _variables(), batches[0].image, (6, 8)
  )
  for i, (out, error) in enumerate(outputs):
    own = labels[3 * i : 3 * i + 3]
    # Other lines are the communication library's.
    assert out.splitlines()[-1] == (
      f'{_expected(batches).tolist()} (3, 6, 8) {own.sum()}'
    ), error
