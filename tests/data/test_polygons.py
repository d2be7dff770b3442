"""Polygon files of Cityscapes."""

import json

from etils import epath
import numpy as np
import pytest

from uda_jax.data import label_files


def _file(folder, objects, **other):
  path = folder / 'x_gtFine_polygons.json'
  content = {'imgHeight': 4, 'imgWidth': 6, 'objects': objects} | other
  path.write_text(json.dumps(content))
  return epath.Path(path)


def _box(label, left, right, **other):
  corners = [[left, 0], [right, 0], [right, 3], [left, 3]]
  return {'label': label, 'polygon': corners} | other


def test_later_over_earlier_groups_deleted_and_plates(tmp_path):
  ids = label_files.read_label(
    _file(
      tmp_path,
      [
        _box('road', 0, 5),
        _box('cargroup', 1, 3),
        _box('sky', 0, 5, deleted=1),
        _box('license plate', 0, 5),
        _box('polegroup', 4, 4),
      ],
    )
  )
  np.testing.assert_array_equal(ids, [[7, 26, 26, 26, 18, 7]] * 4)
  assert ids.dtype == np.int32
  assert (label_files.read_label(_file(tmp_path, [])) == 0).all()


def test_borders_of_polygons(tmp_path):
  # Pillow 11.0 draws more of the first row, 11.1 less of it.
  triangle = {'label': 'road', 'polygon': [[4, 2], [0, 0], [2, 1]]}
  ids = label_files.read_label(_file(tmp_path, [triangle]))
  expected = [[1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]]
  np.testing.assert_array_equal(ids[:3] == 7, expected)
  assert not ids[3].any()


@pytest.mark.parametrize(
  'objects, message',
  [
    ([{'label': 'road'}], 'expected polygons'),
    ([_box('spaceship', 0, 1)], "got 'spaceship'"),
  ],
)
def test_bad_files_are_named(tmp_path, objects, message):
  path = _file(tmp_path, objects)
  with pytest.raises(ValueError, match=message) as error:
    label_files.read_label(path)
  assert str(path) in str(error.value)
