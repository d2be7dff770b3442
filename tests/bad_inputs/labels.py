"""Label files of a folder that do not hold the classes of its record."""

from __future__ import annotations

import json
import os

import numpy as np
from PIL import Image
import tifffile

from tests.bad_inputs import case
from tests.bad_inputs import images
from tests.data import tiny_folder

FIELD = images.FIELD
_IDS = np.arange(192, dtype=np.uint8).reshape(12, 16) % 3
_COLORS = np.array([[0, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)[_IDS]


def _tiff(values, **options):
  return lambda path: tifffile.imwrite(path, values, **options)


def _json(content):
  return lambda path: path.write_text(
    content if isinstance(content, str) else json.dumps(content)
  )


def _polygons(**changes):
  return {'imgHeight': 12, 'imgWidth': 16, 'objects': []} | changes


def _object(**changes):
  shape = {'label': 'road', 'polygon': [[0, 0], [9, 0], [9, 9]]} | changes
  return _polygons(objects=[shape])


def _frames(path):
  frames = [Image.fromarray(np.roll(_IDS, n)) for n in range(2)]
  frames[0].save(path, save_all=True, append_images=frames[1:])


# Name, ending, what is written over the label, what the line says.
_KINDS = (
  ('JPEG', 'jpg', case.save(_IDS), 'got JPEG.*convert it'),
  ('JPEG by another name', 'png', case.save(_IDS, format='JPEG'), 'got JPEG'),
  ('JPEG in TIFF', 'tif', case.save(_IDS, compression='jpeg'), 'with JPEG'),
  ('JPEG 2000', 'png', case.save(_IDS, format='JPEG2000'), 'got JPEG2000'),
  (
    'PGM of few values',
    'png',
    lambda p: p.write_bytes(b'P5\n16 12\n3\n' + _IDS.tobytes()),
    'got 3; convert it',
  ),
  (
    'gray and alpha',
    'png',
    lambda p: Image.fromarray(_IDS).convert('LA').save(p),
    '2 channels.*convert it',
  ),
  ('real numbers', 'tif', _tiff(np.float32(_IDS)), "type 'F'; convert it"),
  ('colors', 'png', case.save(_COLORS), 'label_channel.*label_colors='),
  (
    'colors and alpha',
    'png',
    lambda p: Image.fromarray(_COLORS).convert('RGBA').save(p),
    'label_channel.*label_colors=',
  ),
  ('unknown id', 'png', case.save(_IDS + 5), 'label_map.*ignore_ids'),
  ('mask of 0 and 255 and 1', 'png', case.save(_IDS * 100), 'label_map'),
  ('ids of 16 bits', 'png', case.save(np.uint16(_IDS) * 300), 'got 300'),
  ('negative ids', 'tif', _tiff(np.int16(_IDS) - 1), 'got -1'),
  ('ids of 32 bits', 'tif', _tiff(np.int32(_IDS) << 20), 'got 1048576'),
  ('ids beyond 32 bits', 'tif', _tiff(np.uint32(_IDS) << 31), 'expected'),
  ('another size', 'png', case.save(_IDS[::2, ::2]), 'resize_labels=True'),
  (
    'another shape',
    'png',
    case.save(_IDS[:, :9]),
    'turned, cut, or of another',
  ),
  ('cut', 'png', case.cut, 'truncated'),
  ('text', 'png', lambda p: p.write_text('0 1 2'), 'expected an image'),
  ('pointer of Git LFS', 'png', case.lfs, 'git lfs pull'),
  ('animation', 'gif', _frames, '2 frames'),
  ('empty', 'png', lambda p: p.write_bytes(b''), f'{FIELD}.labels.*found no'),
  ('a folder', 'png', lambda p: (p.unlink(), p.mkdir()), 'found no label'),
  ('a pipe', 'png', lambda p: (p.unlink(), os.mkfifo(p)), 'found no label'),
  (
    'a link to itself',
    'png',
    lambda p: (p.unlink(), case.loop(p)),
    'found no label',
  ),
  ('gone', 'png', lambda p: p.unlink(), f'found no label.*{FIELD}.files'),
  ('no JSON', 'json', _json('{'), 'polygon|JSON'),
  ('a list', 'json', _json([]), 'polygon|expected'),
  ('deep JSON', 'json', _json('[' * 100_000), 'polygon|JSON|expected'),
  ('no size', 'json', _json({'objects': []}), 'imgHeight|expected'),
  ('no number as size', 'json', _json(_polygons(imgHeight='x')), 'expected'),
  ('negative size', 'json', _json(_polygons(imgHeight=-3)), 'expected'),
  ('huge size', 'json', _json(_polygons(imgHeight=10**9)), 'expected|mega'),
  ('objects of text', 'json', _json(_polygons(objects='x')), 'expected'),
  ('no polygon', 'json', _json(_object(polygon=None)), 'expected'),
  ('points of text', 'json', _json(_object(polygon=[['a', 'b']])), 'expected'),
  (
    'points that are no numbers',
    'json',
    _json(_object(polygon=[[float('nan'), 0], [1, 1], [2, 2]])),
    'expected',
  ),
  ('unknown class', 'json', _json(_object(label='rod')), 'expected|rod'),
)


def _replaced(ending, write):
  def run(folder):
    tiny_folder.write(folder, count=2)
    path = folder / f'labels/01.{ending}'
    if ending != 'png':
      (folder / 'labels/01.png').unlink()
    write(path)
    images.rows(folder, labels='labels/*')

  return run


def _all(make, **fields):
  """All labels are replaced."""

  def run(folder):
    tiny_folder.write(folder, count=3)
    for number in range(3):
      make(folder / f'labels/{number:02d}.png')
    images.rows(folder, **fields)

  return run


def _palettes(path):
  image = Image.fromarray(_IDS, mode='P')
  image.putpalette([0, 0, 0, 0, 0, 200, 40 * int(path.stem), 0, 0])
  image.save(path)


_COLOR_ROWS = (((0, 0, 0), 0), ((0, 200, 0), 1))
CASES = (
  *(
    case.Case(name, _replaced(ending, write), rf'(?=.*\b01\b).*({line})')
    for name, ending, write, line in _KINDS
  ),
  case.Case(
    'all pixels ignored',
    _all(case.save(np.full((12, 16), 255, np.uint8))),
    FIELD,
  ),
  case.Case(
    'masks of 0 and 255',
    _all(case.save(255 * (_IDS // 2)), class_names=('a', 'b')),
    rf'set {FIELD}\.label_map=\(\(0, 0\), \(255, 1\)\)',
  ),
  case.Case('palettes that differ', _all(_palettes), f'{FIELD}.label_colors'),
  case.Case(
    'a color without a class',
    _all(case.save(_COLORS), label_colors=_COLOR_ROWS),
    r'\(0, 0, 200\).*label_colors|label_colors',
  ),
  case.Case(
    'ids with label_colors',
    _all(case.save(_IDS), label_colors=_COLOR_ROWS),
    'label_map',
  ),
  case.Case(
    'a channel that is not there',
    _all(case.save(_COLORS), label_channel=3),
    'label_channel=3',
  ),
  case.Case(
    'an id that the map leaves out',
    _all(case.save(_IDS), label_map=((0, 0), (1, 1))),
    'label_map',
  ),
)
