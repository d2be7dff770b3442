"""Images of any number of channels: reading them, and copies for training.

With `config.model.in_channels` of 3, `image_files` reads images as they are
seen. With any other number N, a file must hold N channels, which are read as
they are stored: gray (1), PNG with a second or fourth channel (2, 4), TIFF of
one page of N samples or of N pages of one sample.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from etils import epath
import numpy as np

from uda_jax.data import decode

# What `config.model.in_channels` is by default.
RGB = 3
_TIFF_STARTS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_GRAY = ('L', '1', 'LA', 'La', 'I;16', 'I;16B', 'I;16L', 'I', 'F')
# Pillow's modes of channels that are stored as they are.
_CHANNELS = {'LA': 2, 'RGB': 3, 'RGBA': 4}
# TIFF orientation -> the stored [H, W, N] samples upright.
_UPRIGHT = {
  1: lambda x: x,
  2: lambda x: x[:, ::-1],
  3: lambda x: x[::-1, ::-1],
  4: lambda x: x[::-1],
  5: lambda x: x.swapaxes(0, 1),
  6: lambda x: np.rot90(x, -1),
  7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
  8: lambda x: np.rot90(x),
}


class Bands(NamedTuple):
  """Samples of an image file, upright.

  Attributes:
    values: [H, W, N], uint8 or wider numbers.
    kind: what the file holds, for messages.
    turned: whether the stored height is the width of the upright image.
  """

  values: np.ndarray
  kind: str
  turned: bool


def read(path: epath.Path, channels: int) -> Bands:
  """Reads the samples of an image of N channels.

  Args:
    path: the file.
    channels: N, `config.model.in_channels`; not 3.

  Returns:
    The samples. ValueError, naming the file, if it does not hold N channels,
    or for anything that is not one whole image.
  """
  with path.open('rb') as file:
    start = file.read(4)
  if channels > 1 and start in _TIFF_STARTS:
    return _tiff(path, channels)
  picture = decode.open_picture(path)
  mode = picture.image.mode
  kind = f'{picture.format} with pixels of type {mode!r}'
  if channels == 1 and mode in _GRAY:
    image = picture.image
    if mode in ('1', 'LA', 'La'):
      image = image.convert('L')
    values = np.asarray(image)[..., None]
    # In either byte order.
    values = values.astype(values.dtype.newbyteorder('='))
    if decode.white_is_zero(picture) and values.dtype == np.uint16:
      values = ~values
    return Bands(values, kind, picture.turned)
  if _CHANNELS.get(mode) != channels or picture.format in ('JPEG', 'MPO'):
    raise _wrong_count(path, channels, _CHANNELS.get(mode, 0), kind)
  if picture.bits <= 8:
    return Bands(np.asarray(picture.image), kind, picture.turned)
  if picture.format != 'PNG' or picture.orientation != 1:
    raise ValueError(
      f'{path}: expected samples of 8 bits, or a PNG without an orientation, '
      f'got {kind} of {picture.bits} bits; convert it to TIFF'
    )
  return Bands(decode.png_samples(path), kind, False)


def _wrong_count(
  path: epath.Path, channels: int, found: int, kind: str
) -> ValueError:
  way = 'save exactly these channels'
  if found:
    way += f', or set config.model.in_channels={found}'
  return ValueError(
    f'{path}: expected {channels} channel{"s" * (channels > 1)} '
    f'(config.model.in_channels), got {kind}; {way}'
  )


def _tiff(path: epath.Path, channels: int) -> Bands:
  """Reads a TIFF file of one page of N samples, or N pages of one sample."""
  try:
    import tifffile
  except ImportError as error:
    raise ValueError(
      f'{path}: TIFF files of {channels} channels are read by tifffile, which '
      "is not installed; pip install 'uda_jax[tiff]'"
    ) from error
  try:
    with path.open('rb') as file, tifffile.TiffFile(file) as tiff:
      pages = [page.aspage() for page in tiff.pages]
      pages = [page for page in pages if not page.is_reduced]
      samples = [page.samplesperpixel for page in pages]
      one = len(pages) == 1 and samples[0] == channels
      if not one and samples != [1] * channels:
        found = samples[0] if len(pages) == 1 else sum(samples)
        kind = f'TIFF of {len(pages)} page(s) of {samples[0]} sample(s)'
        possible = len(pages) == 1 or set(samples) == {1}
        raise _wrong_count(path, channels, found if possible else 0, kind)
      arrays = [_page(page) for page in pages]
      orientation = pages[0].tags.valueof('Orientation', 1)
  except (tifffile.TiffFileError, ValueError, OSError, KeyError) as error:
    if str(error).startswith(f'{path}: expected'):
      raise
    raise ValueError(
      f'{path}: cannot be decoded to the end ({error}); the file is damaged, '
      'or packed in a way that needs a newer imagecodecs (pip install '
      "'uda_jax[tiff]')"
    ) from error
  if len({array.shape for array in arrays}) > 1:
    raise ValueError(
      f'{path}: expected {channels} pages of one size, got '
      f'{[array.shape[:2] for array in arrays]}'
    )
  values = np.concatenate(arrays, -1)
  kind = f'TIFF of {channels} channels of type {values.dtype}'
  if values.dtype.kind == 'c':
    raise ValueError(
      f'{path}: expected real numbers, got {kind}; save what the network is to '
      'see, such as the magnitude'
    )
  values = values.astype(values.dtype.newbyteorder('='))
  upright = _UPRIGHT.get(orientation, _UPRIGHT[1])(values)
  return Bands(np.ascontiguousarray(upright), kind, orientation in (5, 6, 7, 8))


def _page(page: Any) -> np.ndarray:
  """Returns the samples of a page, [H, W, samples]."""
  values = page.asarray()
  if page.samplesperpixel > 1 and page.planarconfig == 2:
    # Channel after channel.
    values = np.moveaxis(values, 0, -1)
  return values.reshape(page.imagelength, page.imagewidth, -1)


def stacked(pixels: np.ndarray) -> np.ndarray:
  """Returns [N * H, W] uint8: the channels of [H, W, N] below each other.

  A PNG file holds at most four channels; `transforms.read_image` undoes it.
  """
  return np.moveaxis(pixels, -1, 0).reshape(-1, pixels.shape[1])
