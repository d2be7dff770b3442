"""Image and label files: checked reading with Pillow, when data are prepared.

Training reads files with TensorFlow, which decodes a palette PNG to colours;
so labels are read here, once, and written as plain 8-bit grey PNG files.
"""

from __future__ import annotations

import io

from etils import epath
import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError
import tensorflow as tf

from uda_jax import files
from uda_jax.data import polygons

# What TensorFlow decodes to the same pixels (MPO: JPEG files of phones).
_IMAGE_FORMATS = ('JPEG', 'MPO', 'PNG')
_IMAGE_MODES = ('RGB', 'RGBA', 'L', 'LA', 'P', '1', 'CMYK')
# Pixel types of exact integers.
_LABEL_MODES = ('P', 'L', '1', 'I;16', 'I;16B', 'RGB', 'RGBA', 'LA')
_PNG_START = b'\x89PNG\r\n\x1a\n'


def _open(path: epath.Path) -> Image.Image:
  """Decodes a file fully; an error names it."""
  with path.open('rb') as file:
    try:
      image = Image.open(file)
      image.load()
    except UnidentifiedImageError as error:
      raise ValueError(
        f'{path}: expected an image, got a file that is none; remove it or '
        'leave it out'
      ) from error
    # Pillow raises SyntaxError and others for broken chunks.
    except Exception as error:
      raise ValueError(
        f'{path}: cannot be decoded to the end ({error}); the file is '
        'truncated or damaged, fetch it again'
      ) from error
  return image


def image_size(path: epath.Path) -> tuple[int, int]:
  """Returns (height, width) of an image after decoding all of it."""
  image = _open(path)
  if image.format not in _IMAGE_FORMATS or image.mode not in _IMAGE_MODES:
    raise ValueError(
      f'{path}: expected a JPEG or 8-bit PNG image, got {image.format} with '
      f'pixels of type {image.mode!r}; convert it to PNG'
    )
  return image.height, image.width


def _png_depth(path: epath.Path) -> int:
  """Returns the bits of a sample of a PNG file, 0 for other files."""
  with path.open('rb') as file:
    start = file.read(25)
  return start[24] if start.startswith(_PNG_START) else 0


def read_label(path: epath.Path, *, channel: int = -1) -> np.ndarray:
  """Reads the raw class ids of a label file.

  Args:
    path: an image file: grey of any bit depth, or palette colours, whose index
      is the class id, or several channels of 8 or 16 bits; or a polygon file
      of Cityscapes (.json).
    channel: which of several channels holds the ids (SYNTHIA: 0), -1 if there
      must be only one.

  Returns:
    [H, W] int32 raw ids.
  """
  if path.suffix == '.json':
    return polygons.read(path)
  image = _open(path)
  channels = len(image.getbands())
  if (
    image.format == 'JPEG'
    or image.mode not in _LABEL_MODES
    or (channel >= channels or channel < 0 and channels > 1)
  ):
    raise ValueError(
      f'{path}: expected class ids in a PNG of one channel (grey or '
      f'palette) or in the channel label_channel={channel}, got '
      f'{image.format} of {channels} channels, type {image.mode!r}; convert '
      'it, or set label_channel to the channel with the ids'
    )
  depth = _png_depth(path)
  if channels > 1 and depth == 16:
    # Pillow keeps the high byte of such files: every class becomes 0.
    with path.open('rb') as file:
      pixels = tf.io.decode_png(file.read(), dtype=tf.uint16).numpy()
  else:
    pixels = np.asarray(image)
  if channels > 1:
    pixels = pixels[..., channel]
  pixels = pixels.astype(np.int32)
  if image.mode == 'L' and depth in (2, 4):
    # Pillow stretches grey values of few bits to 0..255.
    pixels //= 255 // (2**depth - 1)
  return pixels


def read_rgb(path: epath.Path) -> np.ndarray:
  """Reads the colours of a PNG file, [H, W, 3] uint8, to tell classes by."""
  image = _open(path)
  if image.format != 'PNG' or image.mode not in ('P', 'RGB', 'RGBA'):
    raise ValueError(
      f'{path}: expected a PNG with colours, got {image.format} with pixels '
      f'of type {image.mode!r}; use label_map for class ids, and convert '
      'JPEG labels, whose colours are not exact'
    )
  return np.asarray(image.convert('RGB'))


def write_label(path: epath.Path, label: np.ndarray) -> None:
  """Writes train ids [H, W] (0..255) as the one label format of training."""
  write_image(path, label.astype(np.uint8))


def write_image(path: epath.Path, image: np.ndarray) -> None:
  """Writes pixels [H, W, 3] or [H, W] uint8 as a PNG file."""
  encoded = io.BytesIO()
  Image.fromarray(image).save(encoded, format='PNG', compress_level=1)
  files.write_atomically(path, encoded.getvalue())
