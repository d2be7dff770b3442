"""Files that name classes: all forms, and one line on a file that is none."""

import json

import pytest

from uda_jax.adapt import class_files

Entry = class_files.Entry
ROAD, SKY = (128, 64, 128), (70, 130, 180)


@pytest.mark.parametrize(
  'name, text, expected',
  [
    ('a.txt', 'road\n\nblue sky\n', [Entry('road'), Entry('blue sky')]),
    ('a.txt', '\ufeffroad\r\nsky\r\n', [Entry('road'), Entry('sky')]),
    (
      'a.txt',
      '# ids\n7 road\n23: blue sky',
      [Entry('road', 7), Entry('blue sky', 23)],
    ),
    ('a.csv', 'name,id\nroad,7\nsky,23', [Entry('road', 7), Entry('sky', 23)]),
    (
      'a.csv',
      'name,r,g,b\nroad,128,64,128\nsky,70,130,180',
      [Entry('road', None, ROAD), Entry('sky', None, SKY)],
    ),
    (
      'a.csv',
      'name,r,g,b,id\nroad,128,64,128,7\nsky,70,130,180,23',
      [Entry('road', 7, ROAD), Entry('sky', 23, SKY)],
    ),
    # CamVid's and CVAT's.
    (
      'a.txt',
      '128 64 128\troad\n70 130 180\tsky',
      [Entry('road', None, ROAD), Entry('sky', None, SKY)],
    ),
    (
      'a.txt',
      '# label:color_rgb:parts\nroad:128,64,128::\nsky:70,130,180::',
      [Entry('road', None, ROAD), Entry('sky', None, SKY)],
    ),
    ('a.txt', 'lane 1\nlane 2', [Entry('lane 1'), Entry('lane 2')]),
    ('a.txt', '1 lane 1\n2 lane 2', [Entry('lane 1', 1), Entry('lane 2', 2)]),
    (
      'a.txt',
      '7 a b 128 64 128\n8 c 70 130 180',
      [Entry('a b', 7, ROAD), Entry('c', 8, SKY)],
    ),
    ('a.csv', '"road";7\n"sky";23', [Entry('road', 7), Entry('sky', 23)]),
    ('a.txt', 'class\nlabel', [Entry('class'), Entry('label')]),
    ('a.json', '["road", "sky"]', [Entry('road'), Entry('sky')]),
    ('a.json', '{"road": 7, "sky": 23}', [Entry('road', 7), Entry('sky', 23)]),
    (
      'a.json',
      '{"7": "road", "23": "sky"}',
      [Entry('road', 7), Entry('sky', 23)],
    ),
    (
      'a.json',
      '{"road": [128, 64, 128], "sky": [70, 130, 180]}',
      [Entry('road', None, ROAD), Entry('sky', None, SKY)],
    ),
    # 128 is no part of 1.
    (
      'a.json',
      '{"road": [128.0, 64.0, 128.0], "void": [0.0, 1.0, 0.0]}',
      [Entry('road', None, ROAD), Entry('void', None, (0, 1, 0))],
    ),
    (
      'a.json',
      '{"road": [1, 0, 0], "sky": [0, 0, 1]}',
      [Entry('road', None, (1, 0, 0)), Entry('sky', None, (0, 0, 1))],
    ),
    ('a.txt', 'lane 1.5 m\nsky', [Entry('lane 1.5 m'), Entry('sky')]),
    (
      'a.json',
      json.dumps(
        [
          {'name': 'road', 'id': 7, 'color': ROAD},
          {'name': 'sky', 'id': 23, 'color': SKY},
        ]
      ),
      [Entry('road', 7, ROAD), Entry('sky', 23, SKY)],
    ),
  ],
)
def test_forms(tmp_path, name, text, expected):
  (tmp_path / name).write_text(text)
  assert class_files.read(tmp_path / name) == tuple(expected)


@pytest.mark.parametrize(
  'name, text, message',
  [
    ('a.txt', '', 'the names of classes, got none'),
    ('a.txt', 'road\n1 2 sky', 'line 2: expected NAME, ID NAME or R G B NAME'),
    ('a.txt', '300 1 1 road', r'line 1: .*no color \(300, 1, 1\)'),
    ('a.txt', '1 2 3', 'line 1: .*no name'),
    ('a.txt', 'road, sky', 'line 1: .*2 names'),
    ('a.txt', '1 road\nsky', 'all classes with id, or none, got 1 of 2'),
    ('a.txt', '1 road\n1 sky', 'expected each id once, got 1 twice'),
    ('a.txt', 'road\nroad', "each name once, got 'road' twice"),
    ('a.json', '3', 'a.json: expected a list of names'),
    ('a.json', '{', 'a.json: expected a list of names'),
    ('a.json', '[{"id": 3}]', 'a.json: expected a list of names'),
    ('a.json', '[["road", 3]]', 'a.json: expected a list of names'),
    ('a.json', '{"road": 0, "road": 1}', "a.json: .*'road' twice"),
    ('a.json', '{"road": 0.5, "sky": 1}', 'a.json: .*0.5 is no whole number'),
    ('a.json', '{"road": true, "sky": 0}', 'a.json: .*True is no whole'),
    ('a.json', '{"road": [0.5, 0.2, 0.1]}', 'a.json: .*0.5 is no whole number'),
    (
      'a.json',
      '{"road": [1.0, 0.0, 0.0], "sky": [0.0, 0.0, 1.0]}',
      r'from 0 to 255, got .* such as \[0.0, 0.0, 1.0\].*write 255 for 1.0',
    ),
    (
      'a.json',
      '[{"name": "road", "id": 3, "color": [1, 1.0, 0]}]',
      'write 255 for 1.0',
    ),
    ('a.json', '{"road": [7, 1.0, 0.0, 0.0]}', 'write 255 for 1.0'),
    ('a.txt', '0.5 0.2 1 road', 'line 1: .*whole numbers from 0 to 255'),
    ('a.txt', 'sky\nroad 1.0 0.0 0.0', 'line 2: .*whole numbers from 0 to 255'),
    (
      'a.csv',
      'name,b,g,r\nroad,1,2,3',
      'columns r, g, b in this order, got b,',
    ),
    # Not the ids of the lines.
    ('a.txt', 'sky 1\nroad 0', "a.txt: expected lines ID NAME .*'sky 1'"),
  ],
)
def test_what_is_no_such_file(tmp_path, name, text, message):
  (tmp_path / name).write_text(text)
  with pytest.raises(ValueError, match=message) as error:
    class_files.read(tmp_path / name)
  assert '\n' not in str(error.value) and str(tmp_path) in str(error.value)


def test_a_file_is_found_beside_the_labels(tmp_path):
  folders = [tmp_path / 'labels', tmp_path]
  folders[0].mkdir()
  assert class_files.find(folders) is None
  (tmp_path / 'classes.csv').touch()
  (tmp_path / 'classes.txt').touch()
  assert class_files.find(folders) == tmp_path / 'classes.txt'
  (folders[0] / 'labelmap.txt').touch()
  assert class_files.find(folders) == folders[0] / 'labelmap.txt'


def test_void_is_no_class():
  assert Entry('Void').void and Entry('unlabeled').void
  assert not Entry('avoid').void
