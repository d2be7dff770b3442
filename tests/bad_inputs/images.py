"""Images of a folder that cannot be trained on."""

from __future__ import annotations

import os
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image
from PIL import PngImagePlugin
import tifffile

from tests.bad_inputs import case
from tests.data import tiny_folder
from uda_jax.data import datasets

FIELD = 'config.data.source'
_PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
_WIDE = np.arange(192, dtype=np.uint16).reshape(12, 16) * 21
_RANGE = rf'set {FIELD}\.value_range to \(LOW'


def rows(folder: pathlib.Path, **fields) -> None:
  """Looks at all files of a folder, as the preparation does."""
  data = tiny_folder.data(
    source=tiny_folder.record(**{'images': 'images/*'} | fields),
    root=str(folder),
    cache_dir=str(folder / 'cache'),
  )
  [recipe] = datasets.recipes_of_part(data, 'source')
  list(recipe.rows(folder / 'cache/files'))


def _png(size: tuple[int, int], *chunks: tuple[bytes, bytes]) -> bytes:
  header = struct.pack('>IIBBBBB', *size, 8, 0, 0, 0, 0)
  return b'\x89PNG\r\n\x1a\n' + b''.join(
    struct.pack('>I', len(body))
    + name
    + body
    + struct.pack('>I', zlib.crc32(name + body))
    for name, body in ((b'IHDR', header), *chunks, (b'IEND', b''))
  )


def _text_bomb(path):
  info = PngImagePlugin.PngInfo()
  info.add_text('comment', 'x' * 5_000_000, zip=True)
  Image.fromarray(_PIXELS).save(path, pnginfo=info)


def _frames(path, **options):
  frames = [Image.fromarray(np.roll(_PIXELS, n)) for n in range(3)]
  frames[0].save(path, save_all=True, append_images=frames[1:], **options)


def _flipped(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 255
  path.write_bytes(content)


def _cut_jpeg(path):
  big = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  Image.fromarray(big).save(path)
  case.cut(path, 900)


def _values(values):
  return lambda path: tifffile.imwrite(path, values)


_NAN = np.where(np.eye(12, 16), np.nan, 0.5).astype(np.float32)
# Name, ending, what is written over the image, what the line says.
_KINDS = (
  ('text', 'png', lambda p: p.write_text('hello'), 'expected an image'),
  ('pointer of Git LFS', 'png', case.lfs, 'git lfs pull'),
  ('web page', 'jpg', lambda p: p.write_text('<html>404'), 'a web page'),
  ('PDF', 'png', lambda p: p.write_bytes(b'%PDF-1.4'), 'another kind'),
  ('archive', 'png', lambda p: p.write_bytes(b'PK\3\4' * 9), 'another kind'),
  (
    'HEIC',
    'jpg',
    lambda p: p.write_bytes(b'\0\0\0\x18ftypheic\0\0\0\0mif1heic'),
    'HEIC photo',
  ),
  ('drawing', 'png', lambda p: p.write_text('<svg></svg>'), 'expected an im'),
  ('NumPy', 'png', lambda p: np.save(p.open('wb'), _PIXELS), 'expected an im'),
  ('signature alone', 'png', lambda p: p.write_bytes(_png((1, 1))[:8]), 'PNG|'),
  ('no pixels', 'png', lambda p: p.write_bytes(_png((1, 1))), 'PNG|trunc'),
  ('no width', 'png', lambda p: p.write_bytes(_png((0, 4))), 'expected an i'),
  ('cut PNG', 'png', case.cut, 'truncated'),
  ('cut JPEG', 'jpg', _cut_jpeg, 'truncated'),
  ('changed byte', 'png', _flipped, 'expected|damaged|broken'),
  (
    'broken pixels',
    'png',
    lambda p: p.write_bytes(_png((4, 4), (b'IDAT', b'x' * 20))),
    'expected|damaged',
  ),
  (
    'too large',
    'png',
    lambda p: p.write_bytes(_png((20000, 9000), (b'IDAT', b''))),
    'at most 178 megapixels',
  ),
  ('text that unpacks to 5 MB', 'png', _text_bomb, 'expected|damaged'),
  ('animation', 'gif', _frames, '3 frames'),
  ('animated WebP', 'webp', _frames, '3 frames'),
  ('animated PNG', 'png', _frames, '3 frames'),
  ('pages', 'tif', _frames, '3 frames'),
  ('12 bits', 'tif', _values(_WIDE), _RANGE),
  ('12 bits in a PNG', 'png', case.save(_WIDE), _RANGE),
  ('32 bits', 'tif', _values(_WIDE.astype(np.int32) * 99), _RANGE),
  ('numbers from 0 to 1', 'tif', _values(np.float32(_WIDE / 4095)), _RANGE),
  ('not a number', 'tif', _values(_NAN), 'value_range|not a number|finite'),
  ('infinity', 'tif', _values(_NAN / 0.5 * np.inf), 'value_range|finite'),
  ('complex numbers', 'tif', _values(_NAN.astype(np.complex64)), 'expected'),
  ('five channels', 'tif', _values(np.zeros((9, 9, 5), np.uint8)), 'expected'),
)


def _replaced(ending, write):
  def run(folder):
    tiny_folder.write(folder, count=2)
    path = folder / f'images/01.{ending}'
    if ending != 'png':
      (folder / 'images/01.png').unlink()
    write(path)
    rows(folder)

  return run


def _missing_values(folder):
  tiny_folder.write(folder, count=2)
  (folder / 'images/01.png').unlink()
  tifffile.imwrite(folder / 'images/01.tif', _NAN)
  rows(folder, value_range=(0.0, 1.0))


def _all(write):
  """All images are replaced by something that is no file."""

  def run(folder):
    tiny_folder.write(folder, count=2)
    for path in (folder / 'images').iterdir():
      path.unlink()
      write(path)
    rows(folder)

  return run


def _named(name: bytes):
  def run(folder):
    tiny_folder.write(folder, count=2)
    path = lambda kind: pathlib.Path(folder, kind, os.fsdecode(name))
    path('images').write_text('no image')
    os.link(folder / 'labels/00.png', path('labels'))
    rows(folder)

  return run


def _twice(folder):
  tiny_folder.write(folder, count=2)
  case.save(_PIXELS)(folder / 'images/00.jpg')
  rows(folder)


_NONE = rf'{FIELD}\.images: '
CASES = (
  *(
    case.Case(name, _replaced(ending, write), rf'01\.{ending}.*({line})')
    for name, ending, write, line in _KINDS
  ),
  case.Case(
    'not a number, with a range',
    _missing_values,
    r'01\.tif: expected numbers, got NaN in 12 of 192 samples; write',
  ),
  case.Case('all empty', _all(lambda p: p.write_bytes(b'')), _NONE),
  case.Case('all folders', _all(lambda p: p.mkdir()), _NONE),
  case.Case('all links to themselves', _all(case.loop), _NONE),
  case.Case('all dangling', _all(lambda p: p.symlink_to('none')), _NONE),
  case.Case('all pipes', _all(os.mkfifo), _NONE),
  case.Case('all devices', _all(lambda p: p.symlink_to('/dev/zero')), _NONE),
  case.Case('not UTF-8', _named(b'a\xff.png'), r'a.*\.png.*expected an im'),
  case.Case('spaces', _named(b'a b  c.png'), r'a b  c\.png.*expected an im'),
  case.Case('a control character', _named(b'a\x1bc.png'), r'\\x1bc\.png'),
  case.Case('one name twice', _twice, r'images/00\.png.*images/00\.jpg|00'),
)
