"""ClassMix: pastes half of the source's classes onto the target.

DACS (arXiv 2007.08702), DAFormer (arXiv 2111.14887).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import labels


def _ids(num_classes: int) -> np.ndarray:
  """Labels that can be drawn: the classes, then `IGNORE_LABEL`."""
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

  Of n classes ceil(n / 2) are drawn (DACS, arXiv 2007.08702).

  Args:
    key: a JAX key.
    source_label: [B, H, W] int, in [0, num_classes) or `IGNORE_LABEL`.
    num_classes: C.
    choose_from: 'batch': from the classes of the whole group, so that a class
      need not occur in the image (DAFormer, released code); 'image': from the
      classes of the image.
    include_ignore: treat ignored pixels as one more class (released code).

  Returns:
    [B, C + 1] bool, the last column for ignored pixels; all False if no class
    is present.

  Raises:
    ValueError: `choose_from` is neither.

  Example:
    >>> label = jnp.array([[[0, 0, 2, 255]]])
    >>> chosen = draw_classes(jax.random.key(0), label, num_classes=3)
    >>> print(chosen.sum(-1), chosen[0, 1])
    [2] False
  """
  axes = {'batch': (0, 1, 2), 'image': (1, 2)}
  if choose_from not in axes:
    raise ValueError(
      f"choose_from: expected 'batch' or 'image', got {choose_from!r}"
    )
  occurs = jnp.asarray(source_label)[..., None] == _ids(num_classes)
  present = occurs.any(axes[choose_from], keepdims=True)[:, 0, 0]
  present = present.at[:, -1].set(present[:, -1] & include_ignore)
  count = present.sum(-1, keepdims=True)
  # The k smallest of random numbers, with absent classes last: a draw without
  # replacement whose size may depend on traced values.
  shape = (len(source_label), num_classes + 1)
  order = jnp.where(present, jax.random.uniform(key, shape), jnp.inf)
  rank = jnp.argsort(jnp.argsort(order, -1), -1)
  return (rank < (count + count % 2) // 2) & present


def class_mask(label: jax.Array, chosen: jax.Array) -> jax.Array:
  """Mask of the pixels of the chosen classes.

  Args:
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    chosen: [B, C + 1] bool, the last column for ignored pixels.

  Returns:
    [B, H, W] bool.

  Example:
    >>> label = jnp.array([[[0, 1, 255]]])
    >>> print(class_mask(label, jnp.array([[False, True, True]])))
    [[[False  True  True]]]
  """
  is_class = label[..., None] == _ids(chosen.shape[-1] - 1)
  return (is_class & chosen[:, None, None]).any(-1)


def mix(mask: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
  """Combines two images or maps by a mask.

  Args:
    mask: [B, H, W] bool.
    a: [B, H, W, C] or [B, H, W], any dtype, used where the mask is True.
    b: same shape, used where the mask is False.

  Returns:
    [B, H, W, C] or [B, H, W].

  Example:
    >>> mask = jnp.array([[[True, False]]])
    >>> print(mix(mask, jnp.array([[[1, 2]]]), jnp.array([[[8, 9]]])))
    [[[1 9]]]
  """
  return jnp.where(mask[..., None] if a.ndim > mask.ndim else mask, a, b)
