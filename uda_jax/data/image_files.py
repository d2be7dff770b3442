"""Reading pixels of image files, and writing them.

Training, evaluation, prediction and `prepare` read pixels here. TensorFlow,
which decodes images while training runs, gives the same pixels for the files
that `read_for_training` accepts as they are; of every other file `prepare`
writes an 8-bit PNG copy.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

from absl import logging
from etils import epath
import numpy as np
from PIL import Image

from uda_jax import files
from uda_jax.data import bands
from uda_jax.data import decode

# TensorFlow decodes these to the same pixels (MPO: JPEG files of phones).
_TRAINING_FORMATS = ('JPEG', 'MPO', 'PNG')
_TRAINING_MODES = ('RGB', 'RGBA', 'L', 'LA', 'P', '1', 'CMYK')
_OTHER_MODES = ('PA', 'YCbCr', 'LAB', 'HSV', 'RGBX', 'RGBa', 'La')
_SIXTEEN_BITS = ('I;16', 'I;16B', 'I;16L')
# Images of clipped samples that are named.
_MOST_NOTES = 5
_WIDE_MODES = (*_SIXTEEN_BITS, 'I', 'F')


class TrainingImage(NamedTuple):
  """An image file as training needs it.

  Attributes:
    size: (height, width), upright.
    pixels: [H, W, N] uint8, or None if training can read the file itself.
    turned: whether the stored height is the width of the upright picture.
    clipped: fraction of samples outside `value_range`.
  """

  size: tuple[int, int]
  pixels: np.ndarray | None
  turned: bool
  clipped: float = 0.0


def read_image(
  path: Any,
  *,
  value_range: tuple[float, ...] = (),
  channels: int = bands.RGB,
  field: str = 'value_range',
) -> np.ndarray:
  """Reads an image as it is seen: upright, 8 bits, RGB.

  Transparency is dropped. With another number of channels than 3, the file must
  hold just as many, see `bands.read`. Samples of 16 bits keep their high byte.
  Other samples wider than 8 bits need `value_range`, and so do 16-bit files
  without a value in the upper three quarters of their range (12 bits in 16).
  Samples outside the range become black or white, with a line in the log for
  the first images.

  Args:
    path: the file.
    value_range: (low, high), the values of samples wider than 8 bits that
      become 0 and 255; () = by the rule above.
    channels: N, `config.model.in_channels`.
    field: what to call `value_range` in messages.

  Returns:
    [H, W, N] uint8. ValueError, naming the file, for anything that is not one
    whole picture, and for samples that are NaN.
  """
  if channels != bands.RGB:
    path = epath.Path(path)
    found = bands.read(path, channels)
    pixels, clipped = _eight_bits(path, found, tuple(value_range), field)
  else:
    picture = decode.open_picture(path)
    pixels, clipped = _rgb(picture, tuple(value_range), field)
  if clipped:
    logging.log_first_n(
      logging.WARNING,
      '%s: %.2f%% of the samples are outside %s=%s and become black or white',
      _MOST_NOTES,
      path,
      100 * clipped,
      field,
      tuple(value_range),
    )
  return pixels


def read_for_training(
  path: epath.Path,
  *,
  value_range: tuple[float, ...] = (),
  channels: int = bands.RGB,
  field: str,
) -> TrainingImage:
  """Decodes all of an image; returns pixels where training needs a copy.

  Arguments and errors are those of `read_image`.
  """
  if channels != bands.RGB:
    found = bands.read(path, channels)
    eight_bits, clipped = _eight_bits(path, found, tuple(value_range), field)
    size = eight_bits.shape[:2]
    return TrainingImage(size, eight_bits, found.turned, clipped)
  picture = decode.open_picture(path)
  pixels: np.ndarray | None = None
  clipped = 0.0
  if not (
    picture.format in _TRAINING_FORMATS
    and picture.image.mode in _TRAINING_MODES
    and picture.orientation == 1
    and picture.bits <= 8
  ):
    pixels, clipped = _rgb(picture, tuple(value_range), field)
  size = picture.image.height, picture.image.width
  return TrainingImage(size, pixels, picture.turned, clipped)


def _rgb(
  picture: decode.Picture, value_range: tuple[float, ...], field: str
) -> tuple[np.ndarray, float]:
  """Returns [H, W, 3] uint8 pixels and the fraction of clipped samples."""
  mode = picture.image.mode
  kind = f'values of type {mode!r}'
  if mode not in (*_TRAINING_MODES, *_OTHER_MODES, *_WIDE_MODES):
    raise ValueError(
      f'{picture.path}: expected gray or colors, got {picture.format} with '
      f'pixels of type {mode!r}; convert it to PNG'
    )
  if mode not in _WIDE_MODES and picture.bits <= 8:
    return np.asarray(picture.image.convert('RGB')), 0.0
  if picture.format != 'PNG' and mode not in _WIDE_MODES and not value_range:
    # Pillow keeps the high byte of several channels.
    pixels = np.asarray(picture.image.convert('RGB'))
    if 0 < pixels.max(initial=0) < 1 << 6:
      wide = pixels.astype(int) << 8
      raise ValueError(_needs_range(picture.path, kind, wide, field))
    return pixels, 0.0
  values = _wide_values(picture)
  if value_range:
    pixels, clipped = _in_range(values, value_range, picture.path)
    return _three_channels(pixels), clipped
  if mode in ('I', 'F') or 0 < values.max(initial=0) < 1 << 14:
    raise ValueError(_needs_range(picture.path, kind, values, field))
  return _three_channels((values >> 8).astype(np.uint8)), 0.0


def _eight_bits(
  path: epath.Path,
  found: bands.Bands,
  value_range: tuple[float, ...],
  field: str,
) -> tuple[np.ndarray, float]:
  """Returns [H, W, N] uint8 pixels and the fraction of clipped samples."""
  values = found.values
  if values.dtype == np.uint8:
    return values, 0.0
  if value_range:
    return _in_range(values, value_range, path)
  if values.dtype != np.uint16 or 0 < values.max(initial=0) < 1 << 14:
    raise ValueError(_needs_range(path, found.kind, values, field))
  return (values >> 8).astype(np.uint8), 0.0


def _wide_values(picture: decode.Picture) -> np.ndarray:
  """Returns [H, W] or [H, W, 3] samples of more than 8 bits."""
  if picture.image.mode in _WIDE_MODES:
    values = np.asarray(picture.image)
    # In either byte order.
    values = values.astype(values.dtype.newbyteorder('='))
    is_negative = decode.white_is_zero(picture) and values.dtype == np.uint16
    return ~values if is_negative else values
  if picture.format != 'PNG' or picture.orientation != 1:
    raise ValueError(
      f'{picture.path}: expected 8 bits a sample, or one channel, or a PNG '
      f'without an orientation, got {picture.format} with {picture.bands} '
      f'channels of {picture.bits} bits; convert it to 8 bits'
    )
  values = decode.png_samples(picture.path)
  return values[..., : 1 if values.shape[-1] < 3 else 3]


def _needs_range(
  path: epath.Path, kind: str, values: np.ndarray, field: str
) -> str:
  finite = values[np.isfinite(values)]
  low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
  guess: tuple[float, float] = (0.0, 1.0)
  if values.dtype.kind != 'f':
    top = (1 << max(int(high), -int(low) - 1, 1).bit_length()) - 1
    guess = (-top - 1 if low < 0 else 0, top)
  elif low < 0 or high > 1:
    guess = (min(float(np.floor(low)), 0.0), float(np.ceil(high)))
  return (
    f'{path}: expected samples of 8 bits, or of 16 bits that use '
    f'their range, got {kind} from {low:.6g} to {high:.6g}; set {field} to '
    f'(LOW, HIGH), the values to show black and white, such as {guess}, or '
    'convert the file to 8 bits'
  )


def _in_range(
  values: np.ndarray, value_range: tuple[float, ...], path: epath.Path
) -> tuple[np.ndarray, float]:
  """Maps (low, high) to 0..255; returns pixels and the fraction clipped."""
  low, high = value_range
  missing = int(np.isnan(values).sum())
  if missing:
    raise ValueError(
      f'{path}: expected numbers, got NaN in {missing} of {values.size} '
      f'samples; write a number there, such as {low:g}, which is shown black'
    )
  exact = (np.asarray(values, np.float64) - low) * (255 / (high - low))
  inside = (exact >= -0.5) & (exact < 255.5)
  pixels = np.floor(exact.clip(0, 255) + 0.5).astype(np.uint8)
  return pixels, 1 - float(inside.mean())


def _three_channels(pixels: np.ndarray) -> np.ndarray:
  """Repeats gray [H, W] or [H, W, 1] to [H, W, 3]."""
  pixels = pixels.reshape(*pixels.shape[:2], -1)
  return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()


def write_image(path: epath.Path, image: np.ndarray) -> None:
  """Writes pixels [H, W, N] or [H, W] uint8 as a PNG file.

  Channels of N other than 3 are `bands.stacked`.
  """
  if image.ndim == 3 and image.shape[-1] != bands.RGB:
    image = bands.stacked(image)
  encoded = io.BytesIO()
  Image.fromarray(image).save(encoded, format='PNG', compress_level=1)
  files.write_atomically(path, encoded.getvalue())
