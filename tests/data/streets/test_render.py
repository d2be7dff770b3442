"""The renderer: deterministic, labelled exactly, with a gap that grows."""

import subprocess
import sys

import numpy as np
import pytest

from uda_jax.data.streets import render
from uda_jax.data.streets import scene
from uda_jax.data.streets import style as style_lib

GAME = render.style((0.0, 0.0))


def test_a_scene_is_a_function_of_seed_and_index():
  first = render.render(1, 5, style=GAME)
  render.render(1, 6, style=GAME)
  again = render.render(1, 5, style=GAME)
  for a, b in zip(first, again):
    np.testing.assert_array_equal(a, b)
  for other in (
    render.render(1, 6, style=GAME),
    render.render(2, 5, style=GAME),
  ):
    assert np.any(other[1] != first[1])


def test_another_process_renders_the_same():
  code = (
    'from uda_jax.data.streets import render; import zlib; '
    'a, b = render.render(3, 4, style=render.style((0.2, 0.8))); '
    'print(zlib.crc32(a.tobytes() + b.tobytes()))'
  )
  printed = {
    subprocess.run(
      [sys.executable, '-c', code], check=True, capture_output=True
    ).stdout
    for _ in range(2)
  }
  assert len(printed) == 1


@pytest.mark.parametrize('size', [(48, 96), (96, 192), (120, 100)])
def test_sizes_and_types(size):
  image, label = render.render(0, 0, size=size, style=GAME)
  assert image.shape == (*size, 3) and image.dtype == np.uint8
  assert label.shape == size and label.dtype == np.uint8
  assert label.max() < len(render.CLASSES) == len(render.PALETTE)


def test_every_class_occurs_and_rare_ones_are_small():
  labels = np.stack([render.render(0, i, style=GAME)[1] for i in range(60)])
  present = [
    np.mean([(one == c).any() for one in labels])
    for c in range(len(render.CLASSES))
  ]
  share = np.bincount(labels.ravel(), minlength=len(present)) / labels.size
  assert min(present) >= 0.05
  for name in ('pole', 'sign', 'person', 'bicycle'):
    assert 0 < share[render.CLASSES.index(name)] < 0.03
  assert share[render.CLASSES.index('road')] > 0.15


def test_both_domains_have_the_same_scenes():
  camera = render.style((1.0, 1.0))
  for index in range(5):
    np.testing.assert_array_equal(
      render.render(0, index, style=GAME)[1],
      render.render(0, index, style=camera)[1],
    )


@pytest.mark.parametrize('axis', [0, 1])
def test_the_gap_grows_with_its_numbers(axis):
  def distance(amount):
    gap = tuple(amount if i == axis else 0.0 for i in range(2))
    pairs = [
      (
        render.render(0, i, style=GAME)[0],
        render.render(0, i, style=render.style(gap))[0],
      )
      for i in range(6)
    ]
    return np.mean([np.abs(a.astype(float) - b) for a, b in pairs])

  distances = [distance(amount) for amount in (0.0, 0.3, 1.0)]
  assert distances[0] == 0 < distances[1] < distances[2]


def test_farther_is_smaller_and_higher():
  camera = scene.Camera(focal=100, height=1.5, row=40, column=96)
  near, far = camera.project(2, 0, 5), camera.project(2, 0, 20)
  assert near[0] > far[0] > camera.row
  assert abs(near[1] - 96) == 4 * abs(far[1] - 96)


def test_bad_arguments():
  with pytest.raises(ValueError, match=r'gap: expected two numbers in 0..1'):
    style_lib.style((0.2, 1.8))
  with pytest.raises(ValueError, match='size: expected at least'):
    render.render(0, 0, size=(16, 16), style=GAME)
