"""Test-time augmentation: predictions averaged over scales and mirror images.

The average is of probabilities at the size of the label, as in mmseg's
multi-scale test, not of logits: a view with larger logits gets no more weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from uda_jax.ops import resize

_LARGEST = 8.0


def check(scales: Sequence[float]) -> None:
  """Raises ValueError unless every scale is in (0, 8]."""
  good = lambda scale: isinstance(scale, int | float) and 0 < scale <= _LARGEST
  if not scales or not all(map(good, scales)):
    raise ValueError(
      'config.eval.scales (--scales): expected factors of the '
      f'image size, above 0 and up to {_LARGEST:g}, such as '
      f'(0.75, 1.0), got {tuple(scales)}'
    )


def is_used(scales: Sequence[float], flip: bool) -> bool:
  """Returns whether a prediction is more than one pass at scale 1."""
  return flip or tuple(scales) != (1.0,)


def describe(scales: Sequence[float], flip: bool) -> str:
  """Returns such as 'scales 0.75, 1, each also mirrored'."""
  text = f'scales {", ".join(f"{scale:g}" for scale in scales)}'
  return text + (', each also mirrored' if flip else '')


def mean_of_views(
  prob: Callable[..., jax.Array], *, scales: Sequence[float], flip: bool
) -> Callable[..., jax.Array]:
  """Makes `mean(variables, images, size)`, to be called under jit.

  Args:
    prob: `prob(variables, images, size)` of one view, [B, height, width, C].
    scales: factors of the image size; the scaled height and width are rounded
      to whole pixels, halves up, not below one.
    flip: whether every scale is seen mirrored, left to right, too.

  Returns:
    A function like `prob`: the mean of all views.
  """
  check(scales)
  mirrored = (False, True) if flip else (False,)

  def view(variables, images, size, scale, mirror):
    scaled = tuple(max(int(n * scale + 0.5), 1) for n in images.shape[1:3])
    if scaled != images.shape[1:3]:
      pixels = images.astype(jnp.promote_types(images.dtype, jnp.float32))
      images = resize.bilinear(pixels, scaled)
    found = prob(variables, images[:, :, ::-1] if mirror else images, size)
    return found[:, :, ::-1] if mirror else found

  def mean(variables, images, size):
    views = [
      view(variables, images, size, scale, mirror)
      for scale in scales
      for mirror in mirrored
    ]
    return sum(views) / len(views)

  return mean
