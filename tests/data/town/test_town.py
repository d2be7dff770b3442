"""The town: deterministic, with the classes of streets in their sizes."""

import numpy as np
import pytest

from tests.data.streets import test_dataset
from uda_jax.data.town import look as look_lib
from uda_jax.data.town import render


@pytest.fixture(scope='module')
def scenes():
  return [render.render(0, i) for i in range(40)]


def test_a_scene_is_a_function_of_seed_and_index(scenes):
  for a, b in zip(scenes[5], render.render(0, 5)):
    np.testing.assert_array_equal(a, b)
  for other in (render.render(0, 6), render.render(1, 5)):
    assert np.any(other[1] != scenes[5][1])


@pytest.mark.parametrize('size', [(48, 96), (120, 100)])
def test_sizes_and_types(size):
  image, label = render.render(0, 0, size=size)
  assert image.shape == (*size, 3) and image.dtype == np.uint8
  assert label.shape == size and label.dtype == np.uint8
  assert label.max() < len(render.CLASSES)


def test_classes_are_as_frequent_as_in_streets(scenes):
  """The bounds are half and twice of CamVid's day_train, or wider."""
  labels = np.stack([label for _, label in scenes])
  share = np.bincount(labels.ravel(), minlength=11) / labels.size
  for name, low, high in (
    ('road', 0.25, 0.45),
    ('sidewalk', 0.03, 0.12),
    ('building', 0.12, 0.35),
    ('fence', 0.004, 0.04),
    ('pole', 0.005, 0.02),
    ('sign', 0.005, 0.02),
    ('vegetation', 0.05, 0.2),
    ('sky', 0.08, 0.25),
    ('person', 0.003, 0.015),
    ('car', 0.02, 0.09),
    ('bicycle', 0.002, 0.015),
  ):
    assert low < share[render.CLASSES.index(name)] < high, name


def test_road_and_sidewalk_cannot_be_told_apart_by_color(scenes):
  mean = lambda name: np.mean(
    [
      image[label == render.CLASSES.index(name)].mean()
      for image, label in scenes
      if (label == render.CLASSES.index(name)).any()
    ]
  )
  assert abs(mean('road') - mean('sidewalk')) < 25
  assert mean('sky') > 2 * mean('road')


@pytest.mark.parametrize('part', look_lib.PARTS)
def test_leaving_something_out_changes_the_look_alone(part, scenes):
  for index in range(3):
    image, label = render.render(0, index, without=(part,))
    np.testing.assert_array_equal(label, scenes[index][1])
    assert np.any(image != scenes[index][0])


def test_without_the_camera_gray_surfaces_stay_flat():
  flat = render.render(0, 0, without=look_lib.PARTS)[0]
  assert len(np.unique(flat.reshape(-1, 3), axis=0)) < 3000
  assert len(np.unique(render.render(0, 0)[0].reshape(-1, 3), axis=0)) > 6000


def test_bad_arguments():
  with pytest.raises(ValueError, match=r'without: expected .*, got .shadow.'):
    render.render(0, 0, without=('shadow',))
  with pytest.raises(ValueError, match='size: expected at least'):
    render.render(0, 0, size=(16, 16))


def test_files_are_what_the_renderer_returns(tmp_path):
  data = test_dataset.load(
    tmp_path, kind='town', num_images=1, without=('light',)
  )
  assert data.class_names == render.CLASSES
  image, _ = render.render(0, 0, size=(32, 48), without=('light',))
  np.testing.assert_array_equal(
    np.asarray(test_dataset.Image.open(data.image_paths[0])), image
  )
