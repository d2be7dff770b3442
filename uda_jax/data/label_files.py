"""Reading class ids of label files, and writing them.

Training reads files with TensorFlow, which decodes a palette PNG to colors; so
`prepare` reads labels here, once, and writes them as 8-bit gray PNG files.
Evaluation of files reads both sides here.
"""

from __future__ import annotations

import re
from typing import Any

from etils import epath
import numpy as np

from uda_jax.data import decode
from uda_jax.data import image_files
from uda_jax.data import polygons

# Pixels of exact integers.
_MODES = ('P', 'L', '1', 'I;16', 'I;16B', 'I', 'RGB', 'RGBA', 'LA')
_COLOR_MODES = ('P', 'RGB', 'RGBA')
# A picture with more has no classes in colors.
_MOST_COLORS = 64
_INEXACT = ('JPEG', 'MPO', 'JPEG2000', 'TIFF with JPEG', 'lossy WebP')
# TIFF tag and its values: packed as JPEG.
_PACKING, _JPEG = 259, (6, 7)


def read_label(path: Any, *, channel: int = -1) -> np.ndarray:
  """Reads the raw class ids of a label file: [H, W] int32.

  The first result of `read_label_and_palette`.
  """
  return read_label_and_palette(path, channel=channel)[0]


def read_label_and_palette(
  path: Any, *, channel: int = -1, field: str = ''
) -> tuple[np.ndarray, np.ndarray | None]:
  """Reads the raw class ids of a label file, and its palette.

  Args:
    path: an image file: gray of any bit depth, or palette colors, whose index
      is the class id, or several channels of 8 or 16 bits; or a polygon file
      of Cityscapes (.json).
    channel: which of several channels holds the ids (SYNTHIA: 0), -1 if there
      must be only one.
    field: the config field of the data set, for messages; '' if there is none.

  Returns:
    [H, W] int32 raw ids, upright, and the palette [n, 3] uint8, None if the
    file has none. ValueError, naming the file, for anything else.
  """
  path = epath.Path(path)
  if path.suffix.lower() == '.json':
    return polygons.read(path), None
  picture = _open(path)
  if (
    picture.format in _INEXACT
    or picture.image.mode not in _MODES
    or channel >= picture.bands
    or (channel < 0 and picture.bands > 1)
  ):
    raise ValueError(_no_ids(picture, channel, field))
  ids = _samples(picture)
  if picture.bands > 1:
    ids = ids[..., channel]
  palette = None
  if picture.image.mode == 'P':
    colors = picture.image.getpalette('RGB')
    palette = np.array(colors, np.uint8).reshape(-1, 3)
  return ids.astype(np.int32), palette


def _no_ids(picture: decode.Picture, channel: int, field: str) -> str:
  """Returns the message on a label file without ids, with the ways out."""
  expected, way = 'class ids in a PNG of one channel (gray or palette)', ''
  if field:
    expected += f' or in the channel {field}.label_channel={channel}'
    way = f', or set {field}.label_channel to the channel with the ids'
    if picture.bands >= 3 and picture.format not in _INEXACT:
      way += (
        f', or if colors encode the classes {_label_colors(picture, field)}'
      )
  return (
    f'{picture.path}: expected {expected}, got {picture.format} of '
    f'{picture.bands} channels, type {picture.image.mode!r}; convert it{way}'
  )


def _label_colors(picture: decode.Picture, field: str) -> str:
  """Returns a value for `label_colors` with the colors of a file."""
  colors = picture.image.convert('RGB').getcolors(_MOST_COLORS)
  if colors is None:
    return f'{field}.label_colors'
  rows = [
    f'({color}, {i})' for i, (_, color) in enumerate(sorted(colors)[::-1])
  ]
  return f'{field}.label_colors=({", ".join(rows)},)'


def _samples(picture: decode.Picture) -> np.ndarray:
  """Returns the samples of a label file, neither stretched nor cut."""
  if picture.bands > 1 and picture.bits == 16:
    if picture.format != 'PNG' or picture.orientation != 1:
      raise ValueError(
        f'{picture.path}: expected a PNG without an orientation, got '
        f'{picture.format} of several channels of 16 bits; convert it'
      )
    # Of the high byte, which Pillow keeps, every class is 0.
    return decode.png_samples(picture.path)
  ids = np.asarray(picture.image)
  if decode.white_is_zero(picture) and picture.bits <= 8:
    # Back to the stored values.
    ids = ~ids
  if picture.image.mode == 'L' and picture.bits in (2, 4):
    # Pillow stretches gray values of few bits to 0..255.
    ids = ids // (255 // (2**picture.bits - 1))
  return ids


def _open(path: epath.Path) -> decode.Picture:
  """Opens a label file; the format says so if its pixels are not exact."""
  picture = decode.open_picture(path)
  if picture.format == 'PPM':
    _check_pgm(path)
  if decode.tag(picture, _PACKING) in _JPEG:
    picture = picture._replace(format='TIFF with JPEG')
  if picture.format == 'WEBP' and _is_lossy(path):
    picture = picture._replace(format='lossy WebP')
  return picture


def _is_lossy(path: epath.Path) -> bool:
  """Returns whether a WebP file holds its pixels in the lossy format."""
  content, place = path.read_bytes(), 12
  # Chunks of four letters, a size and that many bytes, padded to even ones.
  while place < len(content) and content[place : place + 4] != b'VP8L':
    if content[place : place + 4] == b'VP8 ':
      return True
    size = int.from_bytes(content[place + 4 : place + 8], 'little')
    place += 8 + size + size % 2
  return False


def _check_pgm(path: epath.Path) -> None:
  """Raises ValueError for a PGM file whose samples Pillow would stretch."""
  with path.open('rb') as file:
    start = re.sub(rb'#[^\n]*', b'', file.read(512)).split()
  if start[0] in (b'P2', b'P5') and start[3] not in (b'255', b'65535'):
    raise ValueError(
      f'{path}: expected class ids in a PGM file with the largest value 255 or '
      f'65535 in its header, got {start[3].decode("latin-1")}; convert it to '
      'PNG'
    )


def read_colors(path: Any) -> np.ndarray:
  """Reads the exact colors of a label file: [H, W, 3] uint8, upright."""
  picture = _open(epath.Path(path))
  if picture.format in _INEXACT or picture.image.mode not in _COLOR_MODES:
    raise ValueError(
      f'{path}: expected a PNG with colors, got {picture.format} with pixels '
      f'of type {picture.image.mode!r}; use label_map for class ids, and '
      'convert labels of lossy formats, whose colors are not exact'
    )
  if picture.bits == 16:
    _check_high_bytes(picture)
  return np.asarray(picture.image.convert('RGB'))


def _check_high_bytes(picture: decode.Picture) -> None:
  """Raises ValueError if colors differ in the bytes that Pillow drops."""
  samples = _samples(picture)
  if (samples >> 8 != samples & 255).any():
    raise ValueError(
      f'{picture.path}: expected colors of 8 bits, got samples of 16 bits, of '
      'which the high bytes alone would be read; convert it to 8 bits'
    )


def write_label(path: epath.Path, label: np.ndarray) -> None:
  """Writes train ids [H, W] (0..255) as the one label format of training."""
  image_files.write_image(path, label.astype(np.uint8))
