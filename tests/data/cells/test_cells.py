"""Rendered cells: deterministic, the same scenes in both laboratories."""

import numpy as np
from PIL import Image
import pytest

from tests.data.streets import test_dataset
from uda_jax.data.cells import labs
from uda_jax.data.cells import render


def test_a_scene_is_a_function_of_seed_and_index():
  first, again = (render.render(1, 5, lab='pink') for _ in range(2))
  for a, b in zip(first, again):
    np.testing.assert_array_equal(a, b)
  assert np.any(render.render(1, 6, lab='pink')[1] != first[1])


def test_every_class_occurs():
  labels = np.stack([render.render(0, i, lab='pink')[1] for i in range(20)])
  share = np.bincount(labels.ravel(), minlength=4) / labels.size
  assert labels.max() < len(render.CLASSES) == len(render.PALETTE) == 4
  assert share[0] > 0.5 and share.min() > 0.01


def test_laboratories_share_their_cells_and_differ_in_color():
  looks = []
  for lab in labs.LABS:
    pairs = [render.render(0, i, lab=lab) for i in range(10)]
    image, label = (np.stack(part) for part in zip(*pairs))
    looks.append((label, [image[label == c].mean(0) for c in range(4)]))
  np.testing.assert_array_equal(looks[0][0], looks[1][0])
  # Cytoplasm is pink in one, blue in the other.
  assert np.abs(looks[0][1][1] - looks[1][1][1]).max() > 50
  for _, colors in looks:  # in both, nuclei are the darkest
    assert np.argmin(np.sum(colors, 1)) == 2


def test_sizes_and_bad_arguments():
  image, label = render.render(0, 0, size=(40, 64), lab='violet')
  assert image.shape == (40, 64, 3) and image.dtype == np.uint8
  assert label.shape == (40, 64) and label.dtype == np.uint8
  with pytest.raises(ValueError, match="lab: expected .*'violet'.*, got 'red'"):
    render.render(0, 0, lab='red')
  with pytest.raises(ValueError, match='size: expected at least'):
    render.render(0, 0, size=(96, 16), lab='pink')


def test_files_are_what_the_renderer_returns(tmp_path):
  data = test_dataset.load(tmp_path, kind='cells', num_images=1, lab='violet')
  assert data.class_names == render.CLASSES
  image, _ = render.render(0, 0, size=(32, 48), lab='violet')
  np.testing.assert_array_equal(
    np.asarray(Image.open(data.image_paths[0])), image
  )


def test_the_command_draws_a_sheet(tmp_path):
  render.main(['--out', str(tmp_path / 'sheet.png')])
  assert Image.open(tmp_path / 'sheet.png').size == (8 * 96, 4 * 96)
