"""Contrast between two views of an image, on class probabilities (EHTDI).

arXiv 2208.06100, as its released code computes it. Row i of one view belongs to
row i of the other; everything else is a negative. The similarities of all
pixels with all others are never kept: block by block they are computed, reduced
and, for the gradient, computed again.
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
  """Computes the mean cross-entropy of finding each row's partner.

  S = [first; second]; of the 2 N rows r, the mean of
  -log(exp(S_r . S_partner(r) / T) / sum over s != r of exp(S_r . S_s / T)),
  in float32 at least. Memory grows with `block_size` * N, not with N^2.

  Args:
    first: [N, D] float, of moderate size (probabilities): not normalised here.
    second: [N, D] float.
    temperature: > 0, divides the similarities.
    valid_mask: [N] bool, rows that take part; all if not given.
    block_size: rows whose similarities are computed together; changes neither
      value nor gradient.

  Returns:
    [] float; 0, with gradient 0, without a valid row.
  """
  dtype = jnp.promote_types(first.dtype, jnp.float32)
  first, second = first.astype(dtype), second.astype(dtype)
  rows = jnp.concatenate([first, second])
  if valid_mask is None:
    valid_mask = jnp.ones(len(first), bool)
  valid_mask = jnp.concatenate([valid_mask, valid_mask])
  number = jnp.arange(len(rows))
  # The released code multiplies; so does this, for the same rounding.
  scale = 1 / temperature

  @jax.checkpoint
  def log_sum(block):
    mine, own_number = block
    similarity = scale * jnp.matmul(
      mine, rows.T, precision=jax.lax.Precision.HIGHEST
    )
    others = valid_mask & (number != own_number[:, None])
    # A row without any other is no row that counts; its sum must be finite.
    others |= ~others.any(-1, keepdims=True)
    return jax.nn.logsumexp(similarity, -1, where=others)

  padding = -len(rows) % block_size
  blocks = (
    jnp.pad(rows, ((0, padding), (0, 0))).reshape(
      -1, block_size, rows.shape[1]
    ),
    jnp.pad(number, (0, padding), constant_values=-1).reshape(-1, block_size),
  )
  if len(rows) <= block_size:
    total = log_sum((rows, number))
  else:
    total = jax.lax.map(log_sum, blocks).reshape(-1)[: len(rows)]
  partner = scale * (first * second).sum(-1)
  loss = total - jnp.concatenate([partner, partner])
  return jnp.where(valid_mask, loss, 0).sum() / jnp.maximum(valid_mask.sum(), 1)


def view_pixel_contrast(
  logits: jax.Array,
  other_logits: jax.Array,
  *,
  temperature: float = 0.05,
  block_size: int = BLOCK_SIZE,
) -> jax.Array:
  """Computes the contrast of all pixels of two views, image by image.

  Args:
    logits: [B, h, w, C] float, any values; their softmax is compared.
    other_logits: [B, h, w, C] float, of the other view.
    temperature: > 0; 1 / 20 in the released code.
    block_size: see `nt_xent`.

  Returns:
    [] float, the mean over the images. No pixel is ignored.
  """

  def one(first, second):
    flat = lambda x: jax.nn.softmax(x.reshape(-1, x.shape[-1]), -1)
    return nt_xent(
      flat(first), flat(second), temperature=temperature, block_size=block_size
    )

  return jax.vmap(one)(logits, other_logits).mean()


def view_class_contrast(
  logits: jax.Array,
  other_logits: jax.Array,
  label: jax.Array,
  *,
  temperature: float = 1 / 7,
  all_images: bool = True,
) -> jax.Array:
  """Computes the contrast of the classes' mean logits in two views.

  The label is shrunk to the logits' size (nearest); for each class present the
  softmax of its pixels' mean logits is compared.

  Args:
    logits: [B, h, w, C] float, any values.
    other_logits: [B, h, w, C] float, of the other view.
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    temperature: > 0; 1 / 7 in the released code.
    all_images: False: only the first image has such a term, and the sum is
      divided by B all the same (released code, an indexing slip).

  Returns:
    [] float, the mean over the images. An image with no class or with one class
    gives 0.
  """
  one_hot = resize.nearest(label, logits.shape[1:3])[..., None] == jnp.arange(
    logits.shape[-1]
  )

  def one(first, second, one_hot):
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
  return (
    jax.vmap(one)(logits[:used], other_logits[:used], one_hot[:used]).sum()
    / images
  )
