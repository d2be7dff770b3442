"""Contrast of class probabilities between two views of an image (EHTDI).

arXiv 2208.06100, as its released code computes it. Row i of one view is the
positive of row i of the other; all other rows of both views are negatives. The
matrix of similarities is computed block by block and recomputed for the
gradient, never stored as a whole.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax.ops import resize

BLOCK_SIZE = 512


def nt_xent(
  first: jax.Array,
  second: jax.Array,
  *,
  temperature: float,
  valid_mask: jax.Array | None = None,
  block_size: int = BLOCK_SIZE,
) -> jax.Array:
  """NT-Xent loss: cross-entropy of finding each row's positive (SimCLR).

  With S = [first; second] and temperature T, the mean over the 2 N rows r of
  -log(exp(S_r . S_positive(r) / T) / sum over s != r of exp(S_r . S_s / T)),
  computed in float32 or wider (arXiv 2002.05709, eq. 1, without its
  normalization of rows). Memory grows with `block_size` * N, not with N^2.

  Args:
    first: [N, D] float, such as class probabilities; not normalized here.
    second: [N, D] float, row i the positive of row i of `first`.
    temperature: > 0, divides the similarities.
    valid_mask: [N] bool, False for rows that are left out, which may hold any
      values; None: all count.
    block_size: rows whose similarities are computed at once; affects neither
      value nor gradient.

  Returns:
    [] float; 0, with gradient 0, if no row is valid.

  Example:
    >>> first = jnp.eye(2)
    >>> print(f'{nt_xent(first, first, temperature=0.5):.4f}')
    0.2395
    >>> print(f'{nt_xent(first, 1 - first, temperature=0.5):.4f}')
    2.2395
  """
  first, second = _wide(first), _wide(second)
  if valid_mask is not None:
    # Before the products: an infinite row has a NaN gradient, also times 0.
    first = jnp.where(valid_mask[:, None], first, 0)
    second = jnp.where(valid_mask[:, None], second, 0)
  rows = jnp.concatenate([first, second])
  if valid_mask is None:
    valid_mask = jnp.ones(len(first), bool)
  valid_mask = jnp.concatenate([valid_mask, valid_mask])
  # A product, as in the released code: a quotient rounds differently.
  scale = 1 / temperature
  total = _log_sums(rows, valid_mask, scale, block_size)
  partner = scale * (first * second).sum(-1)
  loss = total - jnp.concatenate([partner, partner])
  return jnp.where(valid_mask, loss, 0).sum() / jnp.maximum(valid_mask.sum(), 1)


def _log_sums(
  rows: jax.Array, valid_mask: jax.Array, scale: float, block_size: int
) -> jax.Array:
  """Logarithms [n] of each row's sum of exp(similarity) to all valid others.

  Args:
    rows: [n, D] float.
    valid_mask: [n] bool.
    scale: factor of the similarities.
    block_size: see `nt_xent`.
  """
  number = jnp.arange(len(rows))

  @jax.checkpoint
  def log_sum(block: tuple[jax.Array, jax.Array]) -> jax.Array:
    mine, own_number = block
    similarity = scale * jnp.matmul(
      mine, rows.T, precision=jax.lax.Precision.HIGHEST
    )
    others = valid_mask & (number != own_number[:, None])
    # A row without negatives is never averaged, but its sum must be finite.
    others |= ~others.any(-1, keepdims=True)
    return jax.nn.logsumexp(similarity, -1, where=others)

  if len(rows) <= block_size:
    return log_sum((rows, number))
  padding = -len(rows) % block_size
  blocks = (
    jnp.pad(rows, ((0, padding), (0, 0))).reshape(
      -1, block_size, rows.shape[1]
    ),
    jnp.pad(number, (0, padding), constant_values=-1).reshape(-1, block_size),
  )
  return jax.lax.map(log_sum, blocks).reshape(-1)[: len(rows)]


def _wide(x: jax.Array) -> jax.Array:
  """Returns an array in float32 or wider: sums of pixels overflow float16."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def view_pixel_contrast(
  logits: jax.Array,
  other_logits: jax.Array,
  *,
  temperature: float = 0.05,
  block_size: int = BLOCK_SIZE,
) -> jax.Array:
  """NT-Xent loss over the pixels of two views, averaged over images.

  Pixels are compared by their class probabilities (EHTDI, arXiv 2208.06100).

  Args:
    logits: [B, h, w, C] float, any values, of one view.
    other_logits: [B, h, w, C] float, of the other view.
    temperature: > 0; 1 / 20 in the released code.
    block_size: see `nt_xent`.

  Returns:
    [] float; 0 if there are no images. Every pixel counts; there is no ignored
    label.

  Raises:
    ValueError: `logits` has other than four axes.

  Example:
    >>> logits = 9 * jnp.eye(3).reshape(1, 1, 3, 3)  # three pixels
    >>> print(f'{view_pixel_contrast(logits, logits):.4f}')
    0.0000
    >>> print(f'{view_pixel_contrast(logits, logits[:, :, ::-1]):.4f}')
    13.3235
  """
  if logits.ndim != 4:
    raise ValueError(f'logits: expected [B, h, w, C], got {logits.shape}')

  def one(first: jax.Array, second: jax.Array) -> jax.Array:
    flat = lambda x: jax.nn.softmax(_wide(x).reshape(-1, x.shape[-1]), -1)
    return nt_xent(
      flat(first), flat(second), temperature=temperature, block_size=block_size
    )

  return jax.vmap(one)(logits, other_logits).sum() / max(len(logits), 1)


def view_class_contrast(
  logits: jax.Array,
  other_logits: jax.Array,
  label: jax.Array,
  *,
  temperature: float = 1 / 7,
  all_images: bool = True,
) -> jax.Array:
  """NT-Xent loss over the classes of two views, averaged over images.

  A class is represented by the softmax of the mean logits of its pixels (EHTDI,
  arXiv 2208.06100).

  Args:
    logits: [B, h, w, C] float, any values, of one view.
    other_logits: [B, h, w, C] float, of the other view.
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`; resized to h x w by
      `resize.nearest`. Ignored pixels and classes without pixels are left out.
    temperature: > 0; 1 / 7 in the released code.
    all_images: False: only the first image is compared, and the result is
      still divided by B (an indexing error of the released code).

  Returns:
    [] float. An image with one class or none gives 0, with gradient 0; so does
    a batch without images.

  Example:
    >>> logits = 9 * jnp.eye(3).reshape(1, 1, 3, 3)  # three pixels
    >>> label = jnp.array([[[0, 1, 255]]])
    >>> print(f'{view_class_contrast(logits, logits, label):.4f}')
    0.0018
  """
  logits, other_logits = _wide(logits), _wide(other_logits)
  one_hot = resize.nearest(label, logits.shape[1:3])[..., None] == jnp.arange(
    logits.shape[-1]
  )
  # An infinite logit of an ignored pixel would make all means NaN.
  known = one_hot.any(-1, keepdims=True)
  logits, other_logits = (
    jnp.where(known, x, 0) for x in (logits, other_logits)
  )

  def one(first: jax.Array, second: jax.Array, one_hot: jax.Array) -> jax.Array:
    count = one_hot.sum((0, 1))
    mean = lambda x: (
      jnp.einsum(
        'hwk,hwc->kc',
        one_hot.astype(x.dtype),
        x,
        precision=jax.lax.Precision.HIGHEST,
      )
      / jnp.maximum(count, 1)[:, None].astype(x.dtype)
    )
    return nt_xent(
      jax.nn.softmax(mean(first), -1),
      jax.nn.softmax(mean(second), -1),
      temperature=temperature,
      valid_mask=count > 0,
    )

  images = len(logits)
  used = images if all_images else 1
  return jax.vmap(one)(
    logits[:used], other_logits[:used], one_hot[:used]
  ).sum() / max(images, 1)
