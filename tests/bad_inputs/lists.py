"""Records of folders, and lists of images."""

from __future__ import annotations

import numpy as np

from tests.bad_inputs import case
from tests.bad_inputs import images
from tests.data import tiny_folder

FIELD = images.FIELD
_NAN = float('nan')


def _record(**fields):
  def run(folder):
    tiny_folder.write(folder, count=2)
    (folder / 'file').write_text('')
    images.rows(folder, **fields)

  return run


def _list(content, **fields):
  def run(folder):
    tiny_folder.write(folder, count=2)
    if content is None:
      (folder / 'train.txt').mkdir()
    elif callable(content):
      content(folder / 'train.txt')
    else:
      (folder / 'train.txt').write_bytes(content)
    images.rows(folder, files='train.txt', **fields)

  return run


# Content of a list, what the line says beside the field.
_LISTS = (
  ('no file', lambda p: None, 'found no file .*train.txt'),
  ('a folder', None, 'found no file .*train.txt'),
  ('a link to itself', case.loop, 'found no file .*train.txt'),
  ('empty', b'', 'no image left'),
  ('line breaks', b'\r\n\n \r\n', 'no image left'),
  ('unknown name', b'00\n07\n', "1 of 2 .*'07'; names look like '00'"),
  ('a name twice', b'00\n01\n00\n', "twice: '00'"),
  ('a name in two forms', b'00\nimages/00.png\n', "twice: '00'"),
  ('other folders', b'/nowhere/07.png\n', "'/nowhere/07.png'"),
  ('binary', bytes(range(256)), 'train.txt, got'),
  ('zeros', b'\0' * 50, 'train.txt, got'),
  ('UTF-16', '00\r\n07\r\n'.encode('utf-16'), "1 of 2 .*'07'"),
  ('two columns', b'images/00.png labels/00.png\n', "'images/00.png labels"),
  ('commas', b'00,01\n', "'00,01'"),
  ('a long line', b'0' * 100_000, 'train.txt, got'),
)

# Fields of the record, what the line says.
_RECORDS = (
  (dict(root='nowhere'), r'\.root: .*nowhere; set config.data.root, the'),
  (dict(root='file'), r'\.root: expected a folder'),
  (dict(images=''), r'\.images'),
  (dict(images='pictures/*.png'), r'\.images: .*pictures/\*\.png'),
  (dict(images='images/**/*.png'), r'\.images'),
  (dict(images='images/00.png'), r'\.images|\.labels'),
  (dict(images='images/*.txt'), r'\.images'),
  (dict(labels=''), r'\.labels: expected the pattern'),
  (dict(labels='masks/*.png'), r'\.labels: .*masks/\*\.png'),
  (dict(labels='labels/*/*.png'), r'\.labels'),
  (dict(labels='labels/x*.png'), r'\.labels'),
  (dict(kind='foldr'), r"\.kind: .*'folder'"),
  (dict(imagse='x'), r'\.imagse: .*images\?'),
  (dict(files='0*'), r"\.files: .*a tuple: \('0\*',\)"),
  (dict(files=('train.txt',)), r'\.files: .*is a text, not a tuple'),
  (dict(files=('7*',)), r'\.files: no image left of 2'),
  (dict(skip_last=2), r'\.files: no image left of 2 after .*skip_last=2'),
  (dict(skip_last=-1), r'\.skip_last: expected'),
  (dict(class_names='road'), r"\.class_names: .*\('road',\)"),
  (dict(class_names=('road',)), r'\.class_names: expected 2 to 254'),
  (dict(class_names=tuple(map(str, range(255)))), r'expected 2 to 254'),
  (dict(class_names=('a', 'b', 'a')), r"\.class_names: .*'a' twice"),
  (dict(class_names=('a', 'b', ' ')), r'\.class_names: expected different'),
  (dict(class_names=('a', 'b', 3)), r'\.class_names: expected'),
  (dict(class_names=()), r'\.class_names: expected 2 to 254 names, got 0'),
  (dict(class_names=('left', 'right')), r'got 2 .*\.label_map|label_map'),
  (dict(palette=((0, 0, 0),)), r'\.palette: expected one color'),
  (dict(palette=((0, 0),) * 3), r'\.palette: expected'),
  (dict(palette=((0, 0, 300),) * 3), r'\.palette: expected'),
  (dict(palette=((0, 0, 'x'),) * 3), r'\.palette: expected'),
  (dict(palette=('red', 'blue', 'sky')), r'\.palette: expected'),
  (dict(value_range=(1.0, 0.0)), r'\.value_range: expected \(low, high\)'),
  (dict(value_range=(_NAN, 1.0)), r'\.value_range: expected'),
  (dict(value_range=(0.0, float('inf'))), r'\.value_range: expected'),
  (dict(value_range=(1.0,)), r'\.value_range: expected \(low, high\)'),
  (dict(value_range=('a', 'b')), r'\.value_range: expected'),
  (dict(label_map=((0, 3),)), r'\.label_map: expected rows .*\(0, 3\)'),
  (dict(label_map=((0, 0), (0, 1))), r'\.label_map: expected each raw id once'),
  (dict(label_map=(0, 1)), r'\.label_map: expected rows'),
  (dict(label_map=((0.5, 1),)), r'\.label_map: expected rows'),
  (dict(label_map='0:1'), r'\.label_map: expected rows'),
  (dict(label_colors=(((0, 0), 1),)), r'\.label_colors: expected rows'),
  (dict(label_colors=((7, 1),)), r'\.label_colors: expected rows'),
  (dict(label_colors=(((0, 0, 300), 1),)), r'\.label_colors: expected'),
  (dict(ignore_ids=('a',)), r'\.ignore_ids: expected'),
  (dict(ignore_ids=255), r'\.ignore_ids: expected'),
  (dict(label_channel=-2), r'\.label_channel: expected'),
  # One field would overrule another, a type would be taken for another.
  (dict(files=('0*', '7*')), r"\.files: .*'7\*', which matches none of 2"),
  (dict(files=('0*', 3)), r'\.files: expected the path of a list, or'),
  (dict(files=3), r'\.files: expected the path of a list, or'),
  (
    dict(ignore_ids=(1, 255)),
    r'\.ignore_ids: .* got 1, which class_names .*\.label_map',
  ),
  (
    dict(ignore_ids=(1, 255), label_map=((0, 0), (1, 1), (2, 255))),
    r'\.ignore_ids: .* got 1, which label_map',
  ),
  (
    dict(label_map=((0, 0),), label_colors=(((0, 0, 0), 0),)),
    r'\.label_map: expected \(\) with label_colors',
  ),
  (dict(resize_labels='False'), r"True or False, got 'False'"),
  (dict(skip_last=1.5), r'\.skip_last: expected a whole number, got 1.5'),
  (dict(label_channel='0'), r"\.label_channel: expected a whole .* got '0'"),
  (dict(label_channel=True), r'\.label_channel: expected a whole number'),
  (dict(root=None), r'\.root: expected a text, got None'),
)


def _twice(folder):
  tiny_folder.write(folder, count=2)
  case.save(np.zeros((12, 16), np.uint8))(folder / 'labels/00.tif')
  images.rows(folder, labels='labels/*')


CASES = (
  *(
    case.Case(name, _list(content), rf'{FIELD}\.files: .*({line})')
    for name, content, line in _LISTS
  ),
  *(
    case.Case(
      ','.join(f'{k}={v!r:.30}' for k, v in fields.items()),
      _record(**fields),
      rf'{FIELD}.*{line}',
    )
    for fields, line in _RECORDS
  ),
  case.Case('two labels of one name', _twice, r'00\.png.*labels/00\.tif'),
)
