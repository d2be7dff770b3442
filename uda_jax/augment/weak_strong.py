"""Weak and strong views: a random crop, and the same crop with other colors.

The strong augmentation of PixMatch (arXiv 2105.08128); its crop alone is the
weak view of EHTDI (arXiv 2208.06100). Released code, albumentations. Everything
is drawn per image.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import rng
from uda_jax.augment import channels
from uda_jax.augment import opencv_color
from uda_jax.augment import pillow_blur
from uda_jax.augment import random_resized_crop
from uda_jax.ops import dtypes

# Expected fraction of images for each operator, and of blurs with the larger
# kernel.
JITTER, GRAY, BLUR, LARGE_BLUR = 0.8, 0.2, 0.5, 2 / 3
# Largest shifts of contrast, brightness, and of hue, saturation, value.
CONTRAST, BRIGHTNESS = 0.2, 0.2
HSV = (20.0, 30.0, 20.0)


class ColorDraw(NamedTuple):
  """Random draws of `apply_color` for B images.

  Attributes:
    jitter: [B] bool, whether brightness, contrast and HSV change.
    alpha: [B] float, factor of the contrast.
    beta: [B] float, brightness added, 1 is the full range.
    hsv: [B, 3] float, shifts in OpenCV's 8-bit units.
    gray: [B] bool, whether the image becomes gray.
    blur: [B] int32, radius of the blur: 0 (none), 1 or 2.
  """

  jitter: jax.Array
  alpha: jax.Array
  beta: jax.Array
  hsv: jax.Array
  gray: jax.Array
  blur: jax.Array


class Views(NamedTuple):
  """Strong and weak view of B crops.

  Attributes:
    strong: [B, h, w, 3] uint8, the crop with other colors.
    weak: [B, h, w, 3] uint8, the crop.
    label: [B, h, w] int, label map of both, in the dtype that it came in.
  """

  strong: jax.Array
  weak: jax.Array
  label: jax.Array


def draw_color(key: jax.Array, *, batch: int) -> ColorDraw:
  """Draws color jitter, gray and blur for each image.

  Args:
    key: a JAX key.
    batch: B.

  Returns:
    Draws for `apply_color` on images [B, H, W, 3].

  Example:
    >>> print(draw_color(jax.random.key(0), batch=2).hsv.shape)
    (2, 3)
  """
  gates = jax.random.uniform(jax.random.fold_in(key, 0), (4, batch))
  shift = jax.random.uniform(
    jax.random.fold_in(key, 1), (5, batch), minval=-1.0, maxval=1.0
  )
  radius = jnp.where(gates[3] < LARGE_BLUR, 2, 1)
  return ColorDraw(
    jitter=gates[0] < JITTER,
    alpha=1 + CONTRAST * shift[0],
    beta=BRIGHTNESS * shift[1],
    hsv=(shift[2:].T * jnp.array(HSV)),
    gray=gates[1] < GRAY,
    blur=jnp.where(gates[2] < BLUR, radius, 0),
  )


def apply_color(pixels: jax.Array, draw: ColorDraw) -> jax.Array:
  """Jitters colors, makes gray and blurs, each for the images drawn.

  Args:
    pixels: [B, H, W, N] uint8; RGB if N = 3, see `channels` for others.
    draw: result of `draw_color`.

  Returns:
    [B, H, W, N] uint8.

  Raises:
    TypeError: `pixels` are not uint8.
  """
  dtypes.check_bytes(pixels, name='pixels')

  def colors(x: jax.Array, draw: ColorDraw) -> jax.Array:
    jittered = opencv_color.brightness_contrast(x, draw.alpha, draw.beta)
    x = jnp.where(draw.jitter, opencv_color.shift_hsv(jittered, draw.hsv), x)
    return jnp.where(draw.gray, opencv_color.gray(x), x)

  def one(x: jax.Array, draw: ColorDraw) -> jax.Array:
    x = channels.on_colors(colors)(x, draw)
    blurred = [x, *(opencv_color.binomial_blur(x, radius=r) for r in (1, 2))]
    return jnp.select([draw.blur == i for i in range(3)], blurred)

  return jax.vmap(one)(pixels.astype(jnp.int32), draw).astype(jnp.uint8)


def crop_images(
  pixels: jax.Array, boxes: jax.Array, size: tuple[int, ...]
) -> jax.Array:
  """Crops each image and resizes the crop, see `random_resized_crop`.

  Args:
    pixels: [B, H, W, 3] uint8.
    boxes: [B, 4] int32 (top, bottom, left, right), inside the image.
    size: (height, width) of the result.

  Returns:
    [B, height, width, 3] uint8.

  Raises:
    TypeError: `pixels` are not uint8.
  """
  dtypes.check_bytes(pixels, name='pixels')
  cut = lambda x, box: random_resized_crop.cut_image(x, box, size)
  return jax.vmap(cut)(pixels.astype(jnp.int32), boxes).astype(jnp.uint8)


def crop_labels(
  label: jax.Array, boxes: jax.Array, size: tuple[int, ...]
) -> jax.Array:
  """Crops and resizes label maps [B, H, W] by nearest, see `crop_images`."""
  cut = lambda x, box: random_resized_crop.cut_label(x, box, size)
  return jax.vmap(cut)(label, boxes)


def weak_strong_views(
  key: jax.Array,
  pixels: jax.Array,
  label: jax.Array,
  *,
  size: tuple[int, ...],
  area: tuple[float, float] = (0.2, 1.0),
  aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> Views:
  """Draws a crop of each image and other colors for its strong view.

  Args:
    key: a JAX key.
    pixels: [B, H, W, 3] in 0..255, uint8 or float (rounded), RGB.
    label: [B, H, W] int, any values; ignored pixels are picked like others.
    size: (height, width) of the views.
    area: (lowest, highest) fraction of the image's area that a crop covers.
    aspect: (lowest, highest) width / height of a crop.

  Returns:
    Both views and their label map.

  Raises:
    ValueError: `label` has another size than `pixels`.

  Example:
    >>> pixels = jnp.zeros((2, 12, 16, 3), jnp.uint8)
    >>> label = jnp.zeros((2, 12, 16), int)
    >>> views = jax.eval_shape(lambda key: weak_strong_views(
    ...     key, pixels, label, size=(6, 8)), jax.random.key(0))
    >>> print(views.strong.shape, views.label.shape)
    (2, 6, 8, 3) (2, 6, 8)
  """
  if label.ndim != 3 or label.shape != pixels.shape[:3]:
    raise ValueError(
      'label: expected the [B, H, W] of pixels [B, H, W, C], got '
      f'{label.shape} and {pixels.shape}'
    )
  keys = rng.streams(key, 'box', 'color')
  boxes = random_resized_crop.draw_crops(
    keys['box'], label.shape[1:], batch=len(label), area=area, aspect=aspect
  )
  weak = crop_images(to_bytes(pixels), boxes, size)
  strong = apply_color(weak, draw_color(keys['color'], batch=len(label)))
  return Views(strong, weak, crop_labels(label, boxes, size))


def to_bytes(pixels: jax.Array) -> jax.Array:
  """Rounds pixels [...] in 0..255 to uint8; uint8 is returned unchanged.

  Example:
    >>> print(to_bytes(jnp.array([-1.0, 0.6, 300.0])))
    [  0   1 255]
  """
  if pixels.dtype == jnp.uint8:
    return pixels
  return jnp.clip(jnp.round(pixels), 0, 255).astype(jnp.uint8)


def random_blur(
  key: jax.Array, pixels: jax.Array, *, fraction: float
) -> jax.Array:
  """Blurs some of the images with a sigma uniform in [0, 1).

  Pillow's Gaussian blur (PixMatch, released code).

  Args:
    key: a JAX key.
    pixels: [B, H, W, 3] in 0..255, uint8 or float (rounded).
    fraction: expected fraction of images blurred; 0 changes nothing.

  Returns:
    [B, H, W, 3] uint8; the input itself if `fraction` is 0.

  Raises:
    ValueError: `pixels` has other than four axes.

  Example:
    >>> pixels = jnp.zeros((2, 4, 4, 3), jnp.uint8).at[:, 2, 2].set(255)
    >>> blurred = random_blur(jax.random.key(0), pixels, fraction=1.0)
    >>> print((blurred[:, 2, 2] < 255).all())
    True
  """
  if not fraction:
    return pixels
  if pixels.ndim != 4:
    raise ValueError(f'pixels: expected [B, H, W, 3], got {pixels.shape}')
  gate, sigma = jax.random.uniform(key, (2, len(pixels)))
  pixels = to_bytes(pixels)
  blurred = pillow_blur.pillow_gaussian_blur(pixels, sigma)
  chosen = (gate < fraction)[:, None, None, None]
  return jnp.where(chosen, blurred, pixels)
