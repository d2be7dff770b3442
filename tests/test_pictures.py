"""Colours, strips and galleries."""

import numpy as np
from PIL import Image
import pytest

from uda_jax import galleries
from uda_jax import pictures

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def test_colorize_paints_what_is_unknown_black():
  label = np.array([[0, 2, 255, -1, 3]], np.int32)
  np.testing.assert_array_equal(
    pictures.colorize(label, PALETTE)[0],
    [(255, 0, 0), (0, 0, 255), (0, 0, 0), (0, 0, 0), (0, 0, 0)],
  )


def test_picture_of_each_kind_of_map():
  image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
  assert pictures.picture(image, PALETTE) is image
  np.testing.assert_array_equal(
    pictures.picture(image.astype(np.float32) + 0.4, PALETTE), image
  )
  weight = np.array([[0, 0.5, 2, np.nan]], np.float32)
  np.testing.assert_array_equal(
    pictures.picture(weight, PALETTE)[0, :, 1], [0, 128, 255, 0]
  )
  np.testing.assert_array_equal(
    pictures.picture(np.array([[True, False]]), PALETTE)[0, :, 0], [255, 0]
  )
  # uint8 label maps are label maps.
  np.testing.assert_array_equal(
    pictures.picture(np.array([[1, 255]], np.uint8), PALETTE)[0],
    [(0, 255, 0), (0, 0, 0)],
  )


def test_label_maps_three_pixels_wide_are_label_maps():
  label = np.array([[[0, 1, 2]]], np.int32)
  assert pictures.picture(label, PALETTE).shape == (1, 1, 3, 3)


def test_overlay_is_half_image_half_color():
  image = np.full((2, 2, 3), 100, np.uint8)
  label = np.array([[0, 1], [255, 7]], np.int32)
  np.testing.assert_array_equal(
    pictures.overlay(image, label, PALETTE),
    [[(177, 50, 50), (50, 177, 50)], [(100, 100, 100), (100, 100, 100)]],
  )
  # The label map decides the size.
  assert pictures.overlay(image, label[:1], PALETTE).shape == (1, 2, 3)


def test_gallery():
  random = np.random.default_rng(0)
  image = random.integers(0, 256, (50, 100, 3), dtype=np.uint8)
  label = np.repeat(np.arange(4)[:, None], 100, 1).repeat(10, 0)
  pixels = galleries.gallery(
    [(image, label), (image[:25], label[:20])],
    titles=('image', 'truth'),
    palette=PALETTE,
    class_names=('road', 'sky', 'a class with a very long name'),
    width=200,
  )
  legend = pixels[8 + 24 + 100 + 8 + 50 + 8 :]
  assert pixels.shape[1] == 8 + 2 * 208
  # 420 pixels hold three entries a line, at most.
  assert legend.shape[0] == 2 * 24 + 8
  truth = pixels[32:112, 216:416]
  for i, color in enumerate((*PALETTE, (0, 0, 0))):
    assert (truth[20 * i + 3 : 20 * i + 17] == color).all()
  for color in PALETTE:
    assert (legend == color).all(-1).sum() >= 100
  assert (pixels[8:32] != 255).any()


def test_gallery_without_legend_ends_with_its_rows(tmp_path):
  image = np.zeros((10, 20, 3), np.uint8)
  page = galleries.gallery(
    [(image,)], titles=('image',), palette=PALETTE, width=40
  )
  assert page.shape == (32 + 20 + 8, 40 + 16, 3)
  pictures.write_png(tmp_path / 'pages/g.png', page)
  with Image.open(tmp_path / 'pages/g.png') as read:
    np.testing.assert_array_equal(np.asarray(read), page)
  with pytest.raises(ValueError, match=r'1 pictures per row \(image\), got 2'):
    galleries.gallery([(image, image)], titles=('image',), palette=PALETTE)


def test_heat_is_white_at_zero_and_red_above():
  value = np.array([-2.0, 0.0, 1.0])
  np.testing.assert_array_equal(
    pictures.heat(value), [(33, 102, 172), (255,) * 3, (216, 140, 149)]
  )
  np.testing.assert_array_equal(
    pictures.heat(value, limit=0.5)[2], (178, 24, 43)
  )
  assert (pictures.heat(np.zeros((2, 3))) == 255).all()


def test_page_sets_rows_of_columns():
  image = np.full((10, 20, 3), 200, np.uint8)
  label = np.full((5, 20), 1, np.int32)
  page = galleries.page(
    {'image': image, 'label': label, 'third': image},
    PALETTE,
    columns=2,
    width=40,
  )
  assert page.size == (88, 24 + 20 + 24 + 20)
  pixels = np.asarray(page.convert('RGB'))
  assert (pixels[24:44, :40] == 200).all()
  assert (pixels[24:34, 48:] == (0, 255, 0)).all()
  assert (pixels[34:44, 48:] == 255).all()
  # Only one of a notebook's formats: a palette has no JPEG.
  assert page._repr_png_() and not page._repr_jpeg_()
