"""Resizing, cropping and mirroring on the host."""

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from uda_jax.data import cutting
from uda_jax.data import transforms


def window(start, size, full):
  return cutting.Window(
    *(tf.constant(x, tf.int32) for x in (start, size, full))
  )


def whole(full):
  return window((0, 0), full, full)


def pixels(height, width, seed=0):
  return (
    np.random.default_rng(seed)
    .integers(0, 256, (height, width, 3))
    .astype(np.uint8)
  )


@pytest.mark.parametrize(
  'size,expected',
  [
    ((1052, 1914), (704, 1280)),
    ((760, 1280), (720, 1213)),
    ((1914, 1052), (1280, 704)),
  ],
)
def test_kept_ratio(size, expected):
  spec = transforms.Spec(image_size=(720, 1280), keep_ratio=True)
  assert transforms.resized_size(size, spec).numpy().tolist() == list(expected)


def test_exact_size_and_scale():
  spec = transforms.Spec(image_size=(30, 50))
  sizes = [[10, 20], [20, 10]]
  scaled = transforms.resized_size(sizes, spec, 0.55)
  np.testing.assert_array_equal(scaled, [[17, 28], [17, 28]])
  own = transforms.resized_size(sizes, transforms.Spec(), 1.5)
  np.testing.assert_array_equal(own, [[15, 30], [30, 15]])


def test_a_size_without_a_crop_is_a_shape_inside_a_graph():
  spec = transforms.Spec(image_size=(3, 5))

  def read(index):
    size = tf.stack([tf.cast(index, tf.int32) + 6, 10])
    full = transforms.resized_size(size, spec)
    window = cutting.Window(tf.zeros(2, tf.int32), full, full)
    return transforms.valid_mask(window, (), size)

  [mask] = tf.data.Dataset.range(1).map(read)
  assert mask.shape == (3, 5) and mask.numpy().all()


@pytest.mark.parametrize('full', [(5, 9), (16, 14), (23, 31)])
def test_bilinear_is_half_pixel_without_antialiasing(full):
  image = pixels(11, 14)
  place = [
    np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1)
    for n, m in zip(full, image.shape)
  ]
  low = [
    np.minimum(np.floor(p).astype(int), m - 2)
    for p, m in zip(place, image.shape)
  ]
  y, x = (p - q for p, q in zip(place, low))
  y, x = y[:, None, None], x[None, :, None]
  at = lambda i, j: image[np.ix_(low[0] + i, low[1] + j)]
  expected = (1 - y) * ((1 - x) * at(0, 0) + x * at(0, 1)) + y * (
    (1 - x) * at(1, 0) + x * at(1, 1)
  )
  result = cutting.cut_image(image, whole(full), 'bilinear').numpy()
  # Half a level of rounding, and ties that float32 puts on the other side.
  assert abs(result - expected).max() < 0.5 + 1e-3


@pytest.mark.parametrize(
  ('resize', 'kernel', 'most'),
  [
    ('bicubic', Image.BICUBIC, 2e-3),
    ('pillow_bilinear', Image.BILINEAR, 1e-9),
  ],
)
@pytest.mark.parametrize('size', [(23, 31), (47, 61)])
def test_the_kernels_of_pillow(resize, kernel, most, size):
  # Noise, which a bicubic kernel overshoots: what Pillow rounds and clips
  # between its two passes makes several grey levels.
  image = pixels(44, 60)
  expected = np.asarray(Image.fromarray(image).resize(size[::-1], kernel))
  result = cutting.cut_image(image, whole(size), resize).numpy()
  difference = abs(result.astype(int) - expected)
  # Pillow's weights are fixed-point numbers.
  assert difference.max() <= 1 and (difference > 0).mean() < most


def test_a_shorter_side_and_its_random_scale_are_rounded_once():
  spec = transforms.Spec((48, 0))
  sizes = [(37, 71), (71, 37), (64, 91), (48, 50)]
  for factor in (1.0, 0.9966):
    found = transforms.resized_size(tf.constant(sizes), spec, factor).numpy()
    expected = [
      [round(n * (48 * factor / min(size))) for n in size] for size in sizes
    ]
    np.testing.assert_array_equal(found, expected)


def test_labels_take_the_rows_that_pillow_takes():
  # In half of these sizes samples fall on the border of two pixels.
  cut = tf.function(cutting.cut_label)
  sizes = [(24, 20), (20, 24), (1024, 640), (1052, 720), (760, 512), (7, 3)]
  sizes += [
    (int(a), int(b))
    for a, b in np.random.default_rng(0).integers(1, 1500, (20, 2))
  ]
  for old, new in sizes:
    label = (np.arange(old) % 251).astype(np.uint8)[:, None].repeat(2, 1)
    expected = np.asarray(Image.fromarray(label).resize((2, new), 0))
    ours = cut(label, whole((new, 2)), 'bicubic').numpy()
    np.testing.assert_array_equal(ours, expected, f'{old} to {new}')


def test_nearest_takes_the_floor():
  label = np.arange(20, dtype=np.uint8).reshape(4, 5)
  result = cutting.cut_label(label, whole((3, 8)), 'bilinear').numpy()
  np.testing.assert_array_equal(
    result, label[np.ix_([0, 1, 2], [0, 0, 1, 1, 2, 3, 3, 4])]
  )


@pytest.mark.parametrize(
  ('old', 'new', 'places', 'rows'),
  [
    (14, 18, (8, 9, 10), (6, 6, 7)),
    (720, 800, (29, 30, 31), (26, 26, 27)),
    (1914, 1024, (511, 512, 513), (955, 956, 958)),
    (1914, 1280, (639, 640, 641), (955, 957, 958)),
  ],
)
def test_nearest_takes_the_rows_that_opencv_takes(old, new, places, rows):
  # A sample on the border of two rows can come out before it in OpenCV.
  label = np.arange(old, dtype=np.int32)[:, None]
  cut = tf.function(cutting.cut_label)
  result = cut(label, whole((new, 1)), 'bilinear').numpy()
  assert result[list(places), 0].tolist() == list(rows)


@pytest.mark.parametrize('resize', ['bilinear', 'bicubic', 'pillow_bilinear'])
@pytest.mark.parametrize('full', [(11, 14), (8, 9), (20, 30)])
def test_window_is_a_slice_of_the_resized_image(resize, full):
  image = pixels(11, 14)
  part = window((2, 3), (5, 6), full)
  cuts = [(cutting.cut_image, image), (cutting.cut_label, image[..., 0])]
  for cut, x in cuts:
    all_of_it = cut(x, whole(full), resize).numpy().astype(int)
    difference = cut(x, part, resize).numpy() - all_of_it[2:7, 3:9]
    # One level, where a cubic's value lies on the edge of rounding.
    assert abs(difference).max() <= (x.ndim == 3 and resize == 'bicubic')


def test_mirrored_and_padded_alike():
  image = pixels(3, 4)
  values = {
    'image': tf.constant(image),
    'label': tf.constant(image[..., 0]),
    'valid_mask': tf.constant(image[..., 0] > 128),
  }
  spec = transforms.Spec(crop_size=(5, 6), pad=True)
  for flip in (False, True):
    done = transforms.finish(dict(values), tf.constant(flip), spec)
    done = {name: x.numpy() for name, x in done.items()}
    step = -1 if flip else 1
    for name, x in values.items():
      assert done[name].shape[:2] == (5, 6)
      np.testing.assert_array_equal(done[name][:3, :4], x.numpy()[:, ::step])
    for name, fill in (('image', 0), ('label', 255), ('valid_mask', False)):
      assert (done[name][3:] == fill).all()
      assert (done[name][:, 4:] == fill).all()


def test_a_pixel_that_a_random_scale_lacks_is_filled():
  spec = transforms.Spec(crop_size=(4, 4), scale_range=(0.7, 1.0))
  done = transforms.finish(
    {'image': tf.constant(pixels(3, 4))}, tf.constant(False), spec
  )['image'].numpy()
  np.testing.assert_array_equal(done[:3], pixels(3, 4))
  assert done.shape == (4, 4, 3) and not done[3].any()


def test_margins_follow_the_window():
  part = window((1, 2), (4, 5), (8, 10))
  full = np.zeros((8, 10), bool)
  full[2:5, 4:9] = True
  np.testing.assert_array_equal(
    transforms.valid_mask(part, (2, 3, 4, 1), (40, 50)), full[1:5, 2:7]
  )


def test_margins_in_fractions_of_the_sides():
  """Of the image as it is: 0.25 of 18 rows are 4, of which half is 2."""
  part = window((1, 2), (7, 5), (9, 10))
  np.testing.assert_array_equal(
    transforms.valid_mask(part, (0.25, 0.25, 0.3, 0.0), (18, 10)),
    transforms.valid_mask(part, (2, 2, 3, 0), (18, 10)),
  )


def test_margins_may_cover_nothing_or_everything():
  whole = window((0, 0), (5, 6), (5, 6))
  assert transforms.valid_mask(whole, (0, 0, 0, 0), (5, 6)).numpy().all()
  assert not transforms.valid_mask(whole, (9, 0, 0, 0), (5, 6)).numpy().any()
