"""Label maps of photos of any size by the exported network in this folder.

Needs numpy and Pillow alone, and for the network JAX or ONNX Runtime; README.md
beside it shows both. `uda_jax.export` copies this file beside each network.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import pathlib
from typing import Any
import warnings

import numpy as np
from PIL import Image
from PIL import ImageOps

FOLDER = pathlib.Path(__file__).parent
# Filters of network.json that shrink with antialiasing; 'bilinear' does not.
ANTIALIASED = {
  'bicubic': Image.Resampling.BICUBIC,
  'pillow_bilinear': Image.Resampling.BILINEAR,
}


# Photos that cover less of the network's input get a warning.
LEAST_COVERED = 0.75


def photo(
  source: str | pathlib.Path | np.ndarray, run: Callable[[np.ndarray], Any]
) -> np.ndarray:
  """Returns the label map of a photo, at its size.

  Args:
    source: a file that Pillow reads, or pixels [h, w, N] uint8.
    run: the network: pixels [B, H, W, N] uint8 to the output that README.md
      takes, `logits` [B, H, W, C] or `grid` [B, h, w, C].

  Returns:
    [h, w] uint8, positions in the list `classes` of network.json.

  Warns where much of the network's input is margin, see `warn_of_margin`.

  Raises:
    ValueError: it has another number of channels than the network's images, or
      another dtype, or `read` cannot read it; or the network's logits are not
      finite.
  """
  about = json.loads((FOLDER / 'network.json').read_text())
  batch, *_, channels = about['input']['shape']
  pixels = source if isinstance(source, np.ndarray) else read(source)
  if pixels.shape[2:] != (channels,) or pixels.dtype != np.uint8:
    raise ValueError(
      f'expected pixels [h, w, {channels}] of uint8, got {pixels.shape} of '
      f'{pixels.dtype}; give the network its channels as an array'
    )
  seen, (height, width) = see(pixels, about['input'])
  warn_of_margin(pixels.shape[:2], (height, width), seen.shape[:2])
  images = np.stack([seen] * (batch if isinstance(batch, int) else 1))
  logits = np.asarray(run(images))[0, :height, :width]
  return decide(logits, pixels.shape[:2], about['outputs']['enlarge'])


def read(path: str | pathlib.Path) -> np.ndarray:
  """Returns the upright pixels of a file, [h, w, 3] uint8 RGB.

  Raises:
    ValueError: it has several frames, or one channel of more than 8 bits, which
      would become black and white.
  """
  # Of a path, Pillow maps the pixels of some rotated TIFF files in wrong rows.
  with open(path, 'rb') as file, Image.open(file) as image:
    frames = getattr(image, 'n_frames', 1)
    if frames > 1 and image.format != 'MPO':
      raise ValueError(f'{path}: expected one picture, got {frames}')
    if image.mode.startswith(('I', 'F')):
      raise ValueError(
        f'{path}: expected 8 bits a channel, got pixels of type {image.mode}; '
        'give the photo as an array, scaled to 0..255'
      )
    return np.asarray(ImageOps.exif_transpose(image).convert('RGB'))


def see(
  pixels: np.ndarray, about: dict[str, Any]
) -> tuple[np.ndarray, tuple[int, int]]:
  """Resizes a photo to the size of the network's input.

  Args:
    pixels: [h, w, N] uint8.
    about: `input` of network.json; `resize` is the rule.

  Returns:
    [H, W, N] uint8, and the (height, width) at its upper left that the photo
    covers; the rest, where the ratio is kept, repeats its last row and column.
  """
  size, rule = about['shape'][1:3], about['resize']
  used = size
  if rule['keep_ratio']:
    scale = min(n / old for n, old in zip(size, pixels.shape))
    used = [max(1, int(old * scale + 0.5)) for old in pixels.shape[:2]]
  if list(pixels.shape[:2]) == list(used):
    seen = pixels
  elif rule['filter'] in ANTIALIASED:
    kernel = ANTIALIASED[rule['filter']]
    channels = np.moveaxis(pixels, 2, 0)
    seen = np.stack([antialiased(x, used, kernel) for x in channels], 2)
  else:
    seen = bilinear(pixels, used)
    seen = (seen + np.float32(0.5)).astype(np.uint8)
  margin = [(0, n - m) for n, m in zip(size, used)]
  return np.pad(seen, [*margin, (0, 0)], mode='edge'), (used[0], used[1])


def warn_of_margin(
  size: tuple[int, ...], covered: tuple[int, ...], whole: tuple[int, ...]
) -> None:
  """Warns of a photo whose ratio is far from that of the network's input.

  Args:
    size: (height, width) of the photo.
    covered: of the part of the input that it covers.
    whole: of the input.
  """
  share = covered[0] * covered[1] / (whole[0] * whole[1])
  if share < LEAST_COVERED:
    warnings.warn(
      f'a photo of {size[0]} x {size[1]} pixels (height x width) covers '
      f'{share:.0%} of the input of {whole[0]} x {whole[1]}, the rest repeats '
      'its border: its labels differ from those that the run gives; export '
      'again at the size of such photos, as README.md says',
      stacklevel=3,
    )


def decide(
  logits: np.ndarray, size: tuple[int, int], enlarge: dict[str, Any]
) -> np.ndarray:
  """Returns the most probable class of each pixel at another size.

  Args:
    logits: [H, W, C] float32.
    size: (height, width) of the result.
    enlarge: of network.json: what is enlarged, and whether corner pixels come
      onto corner pixels.

  Returns:
    [height, width] uint8. One class is enlarged after the other, so that a
    large photo needs little memory.

  Raises:
    ValueError: a logit is NaN or infinite, of which the best class is none.
  """
  if not np.isfinite(logits).all():
    raise ValueError(
      'expected finite logits of the network, got NaN or infinity; run it in '
      'float32'
    )
  if enlarge['what'] == 'probabilities':
    logits = np.exp(logits)
  best = np.full(size, -np.inf, np.float32)
  ids = np.zeros(size, np.uint8)
  for i in range(logits.shape[-1]):
    score = bilinear(logits[..., i], size, corners=enlarge['align_corners'])
    ids[score > best] = i
    best = np.maximum(best, score)
  return ids


def antialiased(
  x: np.ndarray, size: tuple[int, int] | list[int], kernel: Image.Resampling
) -> np.ndarray:
  """Resizes a channel with antialiasing, [h, w] uint8 to uint8."""
  image = Image.fromarray(x)
  for height in (len(x), size[0]):  # columns first
    image = image.resize((size[1], height), kernel)
  return np.asarray(image)


def bilinear(
  x: np.ndarray, size: tuple[int, int] | list[int], *, corners: bool = False
) -> np.ndarray:
  """Resizes bilinearly without antialiasing, [h, w] or [h, w, C] to float32."""
  for axis in (1, 0):  # columns first
    old, new = x.shape[axis], size[axis]
    place = np.arange(new, dtype=np.float32)
    if corners:
      place *= np.float32(old - 1) / np.float32(max(new - 1, 1))
    else:
      step = np.float32(old) / np.float32(new)
      place = (place + np.float32(0.5)) * step - np.float32(0.5)
    below = np.floor(place)
    weight = place - below
    first = np.maximum(below, 0).astype(int)
    second = np.minimum(np.ceil(place), old - 1).astype(int)
    one = x.take(first, axis).astype(np.float32)
    other = x.take(second, axis).astype(np.float32)
    shape = [1] * x.ndim
    shape[axis] = new
    x = one + (other - one) * weight.reshape(shape)
  return x
