"""Weak and strong views of an image: a crop, and the crop in other colours.

The strong augmentation of PixMatch (arXiv 2105.08128), whose crop alone is
EHTDI's weak view (arXiv 2208.06100); released code, albumentations. Every image
has draws of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import rng
from uda_jax.augment import opencv_color
from uda_jax.augment import pillow_blur
from uda_jax.augment import random_resized_crop

# Probabilities of the operators, and of the larger kernel of a blur.
JITTER, GRAY, BLUR, LARGE_BLUR = 0.8, 0.2, 0.5, 2 / 3
# Largest shifts: contrast, brightness, and hue, saturation, value.
CONTRAST, BRIGHTNESS = 0.2, 0.2
HSV = (20.0, 30.0, 20.0)


class ColorDraw(NamedTuple):
  """The draws of the colours, one row an image.

  Attributes:
    jitter: [B] bool, whether brightness, contrast and HSV change.
    alpha: [B] float, contrast.
    beta: [B] float, brightness.
    hsv: [B, 3] float, shifts.
    gray: [B] bool.
    blur: [B] int32, radius of the blur: 0 (none), 1 or 2.
  """

  jitter: jax.Array
  alpha: jax.Array
  beta: jax.Array
  hsv: jax.Array
  gray: jax.Array
  blur: jax.Array


class Views(NamedTuple):
  """A crop in its own and in other colours, [B, h, w, 3] uint8, and its label.

  `label` is [B, h, w] int32.
  """

  strong: jax.Array
  weak: jax.Array
  label: jax.Array


def draw_color(key: jax.Array, *, batch: int) -> ColorDraw:
  """Draws what `apply_color` needs for images [batch, H, W, 3]."""
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
  """Changes brightness, contrast, hue and saturation; grays; blurs.

  Args:
    pixels: [B, H, W, 3] uint8.
    draw: what `draw_color` returns.

  Returns:
    [B, H, W, 3] uint8.
  """

  def one(x, draw):
    jittered = opencv_color.brightness_contrast(x, draw.alpha, draw.beta)
    x = jnp.where(draw.jitter, opencv_color.shift_hsv(jittered, draw.hsv), x)
    x = jnp.where(draw.gray, opencv_color.gray(x), x)
    blurred = [x, *(opencv_color.binomial_blur(x, radius=r) for r in (1, 2))]
    return jnp.select([draw.blur == i for i in range(3)], blurred)

  return jax.vmap(one)(pixels.astype(jnp.int32), draw).astype(jnp.uint8)


def crop_images(
  pixels: jax.Array, boxes: jax.Array, size: tuple[int, int]
) -> jax.Array:
  """Cuts and resizes images.

  Args:
    pixels: [B, H, W, 3] uint8.
    boxes: [B, 4] int32 (top, left, height, width).
    size: (height, width) of the result.

  Returns:
    [B, height, width, 3] uint8.
  """
  cut = lambda x, box: random_resized_crop.cut_image(x, box, size)
  return jax.vmap(cut)(pixels.astype(jnp.int32), boxes).astype(jnp.uint8)


def crop_labels(
  label: jax.Array, boxes: jax.Array, size: tuple[int, int]
) -> jax.Array:
  """Cuts and resizes label maps [B, H, W]; see `crop_images`."""
  cut = lambda x, box: random_resized_crop.cut_label(x, box, size)
  return jax.vmap(cut)(label, boxes)


def weak_strong_views(
  key: jax.Array,
  pixels: jax.Array,
  label: jax.Array,
  *,
  size: tuple[int, int],
  area: tuple[float, float] = (0.2, 1.0),
  aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> Views:
  """Draws a crop of each image, and other colours for its strong view.

  Args:
    key: a JAX key.
    pixels: [B, H, W, 3] in 0..255, uint8 or float (rounded).
    label: [B, H, W] int; ignored pixels are cut like others.
    size: (height, width) of the views.
    area: the crop's share of the image's area lies between these.
    aspect: its width / height lies between these.

  Returns:
    `Views`, whose label is that of both.
  """
  keys = rng.streams(key, 'box', 'color')
  boxes = random_resized_crop.draw_crops(
    keys['box'], label.shape[1:], batch=len(label), area=area, aspect=aspect
  )
  weak = crop_images(to_bytes(pixels), boxes, size)
  strong = apply_color(weak, draw_color(keys['color'], batch=len(label)))
  return Views(strong, weak, crop_labels(label, boxes, size))


def to_bytes(pixels: jax.Array) -> jax.Array:
  """Rounds pixels [...] in 0..255 to uint8; uint8 stays as it is."""
  if pixels.dtype == jnp.uint8:
    return pixels
  return jnp.clip(jnp.round(pixels), 0, 255).astype(jnp.uint8)


def random_blur(
  key: jax.Array, pixels: jax.Array, *, fraction: float
) -> jax.Array:
  """Blurs some of the images slightly, with sigmas uniform in [0, 1).

  As Pillow does (released code of PixMatch).

  Args:
    key: a JAX key.
    pixels: [B, H, W, 3] in 0..255, uint8 or float.
    fraction: expected fraction of images blurred; 0 changes nothing.

  Returns:
    [B, H, W, 3] uint8; the input itself if `fraction` is 0.
  """
  if not fraction:
    return pixels
  gate, sigma = jax.random.uniform(key, (2, len(pixels)))
  pixels = to_bytes(pixels)
  blurred = pillow_blur.gaussian(pixels, sigma)
  chosen = (gate < fraction)[:, None, None, None]
  return jnp.where(chosen, blurred, pixels)
