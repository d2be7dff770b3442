"""Decoding image files with Pillow: one picture, upright, or a clear error."""

from __future__ import annotations

import logging
import os
from typing import Any, NamedTuple
import warnings

from etils import epath
import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError

# Pillow's limit, of which it warns at the half.
MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
# Files up to Pillow's limit (178 megapixels) are read without a warning.
warnings.simplefilter('ignore', Image.DecompressionBombWarning)
# What it logs about a file is in the error that it raises.
logging.getLogger('PIL').setLevel(logging.CRITICAL)

# What Pillow says of palettes with transparency, which is dropped here.
warnings.filterwarnings('ignore', 'Palette images with Transparency')

# Pillow knows more formats; for some it starts other programs (Ghostscript).
_FORMATS = 'JPEG PNG TIFF WEBP BMP GIF PPM JPEG2000'.split()
# Containers of photos and films: from byte 4 on.
_HEIC = (b'ftypheic', b'ftypheix', b'ftypmif1', b'ftyphevc')
_PNG_START = b'\x89PNG\r\n\x1a\n'
_ORIENTATION, _TIFF_BITS, _TIFF_PAGE_KIND = 0x0112, 258, 254
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
# TIFF pages that hold no other picture: reduced copies and masks.
_TIFF_SIDE_PAGES = 1 | 4
# EXIF orientation -> what turns the stored pixels upright.
_UPRIGHT = {
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_270,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_90,
}
# First bytes -> what the file is, and what to do.
_OTHER_FILES = (
  (
    (b'version https://git-lfs',),
    'a Git LFS pointer, not the file itself; run `git lfs pull`',
  ),
  (
    (b'<!doctype html', b'<html'),
    'a web page, perhaps the error page of a download; fetch the file again',
  ),
  (
    (b'ii*\0', b'mm\0*', b'ii+\0', b'mm\0+'),
    'a TIFF file of pixels that cannot be read (their type, or the number of '
    'channels, which config.model.in_channels states); convert it to gray or '
    'RGB of 8 or 16 bits',
  ),
)


class Picture(NamedTuple):
  """The picture of a file.

  Attributes:
    path: the file.
    image: its pixels, upright.
    format: Pillow's name of the file format, such as 'JPEG'.
    bits: of a sample in the file, which Pillow may widen or cut to 8.
    orientation: EXIF's, 1 to 8, already applied; 1 if there is none.
  """

  path: epath.Path
  image: Image.Image
  format: str
  bits: int
  orientation: int

  @property
  def turned(self) -> bool:
    """True if the stored height is the width of the upright picture."""
    return self.orientation >= 5

  @property
  def bands(self) -> int:
    """Number of channels."""
    return len(self.image.getbands())


def open_picture(path: Any) -> Picture:
  """Decodes all of a file.

  Args:
    path: an image file of any format that Pillow reads.

  Returns:
    Its picture. ValueError, naming the file, for several frames or pages, more
    pixels than Pillow's limit, damaged files and files that are no image.
  """
  path = epath.Path(path)
  with path.open('rb') as file:
    try:
      image: Image.Image = Image.open(file, formats=_FORMATS)
      # The second picture of a phone's MPO file is a small or a depth image.
      pages = 1 if image.format == 'MPO' else _pages(image)
      # Pillow turns TIFF files itself when it loads them.
      turned = _orientation(image) if image.format == 'TIFF' else 1
      bits = _bits(image, path)
      if pages == 1:
        image.load()
    except UnidentifiedImageError as error:
      raise ValueError(
        f'{path}: expected an image, got {_other_file(path)}'
      ) from error
    except Image.DecompressionBombError as error:
      raise ValueError(
        f'{path}: expected at most {MOST_PIXELS // 10**6} megapixels, got a '
        'larger image; cut it into tiles, or make it smaller'
      ) from error
    # Pillow raises SyntaxError and others for broken chunks.
    except Exception as error:
      raise ValueError(
        f'{path}: cannot be decoded to the end ({error}); the file is '
        'truncated or damaged, fetch it again'
      ) from error
  if pages > 1:
    raise ValueError(
      f'{path}: expected one picture, got {pages} frames or pages '
      f'({image.format}); save each as an image file of its own'
    )
  kind = image.format or ''
  if kind != 'TIFF':
    turned = _orientation(image)
    if turned != 1:
      image = image.transpose(_UPRIGHT[turned])
  return Picture(path, image, kind, bits, turned)


def tag(picture: Picture, number: int) -> int | None:
  """Returns a tag of a TIFF file, None for other files."""
  return _tag(picture.image, number, None)


def white_is_zero(picture: Picture) -> bool:
  """Returns whether a TIFF file stores white as 0.

  Pillow turns such values around if they have 8 bits or fewer, wider ones not.
  """
  return tag(picture, _PHOTOMETRIC) == _WHITE_IS_ZERO


def _tag(image: Image.Image, number: int, default: Any) -> Any:
  """Returns a tag of a TIFF file, `default` where there is none."""
  return getattr(image, 'tag_v2', {}).get(number, default)


def _pages(image: Image.Image) -> int:
  """Counts the frames of an animation or the pages of a document."""
  frames = getattr(image, 'n_frames', 1)
  if image.format != 'TIFF' or frames == 1:
    return frames
  pages = 0
  for number in range(frames):
    image.seek(number)
    pages += not _tag(image, _TIFF_PAGE_KIND, 0) & _TIFF_SIDE_PAGES
  image.seek(0)
  return max(pages, 1)


def _bits(image: Image.Image, path: epath.Path) -> int:
  """Returns the bits of a sample of a PNG or TIFF file, 8 for others."""
  if image.format == 'TIFF':
    return max(_tag(image, _TIFF_BITS, (8,)))
  with path.open('rb') as file:
    start = file.read(25)
  return start[24] if start.startswith(_PNG_START) else 8


def _orientation(image: Image.Image) -> int:
  """Returns the EXIF orientation, 1 if there is none that can be read."""
  try:
    value = image.getexif().get(_ORIENTATION, 1)
  # Of broken EXIF, Pillow raises nearly anything. Viewers show such files as
  # they are stored.
  except Exception:
    return 1
  return value if value in _UPRIGHT else 1


def _other_file(path: epath.Path) -> str:
  """Describes a file that is no image, and what to do about it."""
  with path.open('rb') as file:
    start = file.read(512).lstrip().lower()
  if not start:
    return 'an empty file; fetch it again, or remove it'
  if start[4:].startswith(_HEIC):
    return 'a HEIC photo, as phones write them; convert it to JPEG or PNG'
  for starts, description in _OTHER_FILES:
    if start.startswith(starts):
      return description
  return 'a file of another kind; remove it or leave it out'


def png_samples(path: epath.Path) -> np.ndarray:
  """Returns a 16-bit PNG as stored, [H, W, channels] uint16.

  Pillow keeps the high byte of several channels.
  """
  import tensorflow as tf  # Slow to import, and needed for such files alone.

  return tf.io.decode_png(path.read_bytes(), dtype=tf.uint16).numpy()


def printable(text: Any) -> str:
  r"""Returns text for any UTF-8 stream: bytes of no character as \xNN."""
  return os.fsencode(str(text)).decode('utf-8', 'backslashreplace')
