"""ClassMix: the pixels of half of the source's classes go onto the target."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import labels


def _ids(num_classes: int) -> np.ndarray:
  """The labels that can be chosen: the classes, then the ignored one."""
  return np.append(np.arange(num_classes), labels.IGNORE_LABEL)


def draw_classes(
  key: jax.Array,
  source_label: jax.Array,
  *,
  num_classes: int,
  choose_from: str = 'batch',
  include_ignore: bool = True,
) -> jax.Array:
  """Draws half of the classes present, for each image, without replacement.

  Of n classes (n + n mod 2) / 2 are chosen (DACS, arXiv 2007.08702).

  Args:
    key: a JAX key.
    source_label: [B, H, W] int, in [0, num_classes) or `IGNORE_LABEL`.
    num_classes: C.
    choose_from: 'batch': among the classes of the whole group, so that a
      chosen class need not occur in the image (DAFormer, released code);
      'image': among the classes of the image.
    include_ignore: ignored pixels count as one more class (released code).

  Returns:
    [B, C + 1] bool, the last column for ignored pixels. Nothing is chosen where
    no class is present.
  """
  axes = {'batch': (0, 1, 2), 'image': (1, 2)}
  if choose_from not in axes:
    raise ValueError(
      "draw_classes: choose_from: expected 'batch' or 'image', "
      f'got {choose_from!r}'
    )
  occurs = jnp.asarray(source_label)[..., None] == _ids(num_classes)
  present = occurs.any(axes[choose_from], keepdims=True)[:, 0, 0]
  present = present.at[:, -1].set(present[:, -1] & include_ignore)
  count = present.sum(-1, keepdims=True)
  # The k smallest of random numbers, absent classes last: a draw without
  # replacement whose size depends on the data.
  shape = (len(source_label), num_classes + 1)
  order = jnp.where(present, jax.random.uniform(key, shape), jnp.inf)
  rank = jnp.argsort(jnp.argsort(order, -1), -1)
  return (rank < (count + count % 2) // 2) & present


def class_mask(label: jax.Array, chosen: jax.Array) -> jax.Array:
  """Returns where the label is one of the chosen classes.

  Args:
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    chosen: [B, C + 1] bool, the last column for ignored pixels.

  Returns:
    [B, H, W] bool.
  """
  is_class = label[..., None] == _ids(chosen.shape[-1] - 1)
  return (is_class & chosen[:, None, None]).any(-1)


def mix(mask: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
  """Takes `a` where the mask is set, else `b`.

  Args:
    mask: [B, H, W] bool.
    a: images [B, H, W, C] or maps [B, H, W], any dtype.
    b: the same.

  Returns:
    The shape of `a`.
  """
  return jnp.where(mask[..., None] if a.ndim > mask.ndim else mask, a, b)
