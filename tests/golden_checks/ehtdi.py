"""Parts of EHTDI against golden files: borders, choice of classes, contrast."""

from __future__ import annotations

from collections.abc import Iterator
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax.augment import class_paste
from uda_jax.losses import view_contrast

Difference = common.Difference

# The first class that the authors' draw counts.
FIRST_OF_POOL = 5


def borders(path: pathlib.Path) -> Iterator[Difference]:
  """Borders of masks."""
  d = common.load(path)
  yield (
    'border',
    jax.jit(class_paste.mask_border)(d['mask'] > 0),
    d['border'],
    *common.EXACT,
  )


@functools.partial(jax.jit, static_argnames='num_classes')
def _num_drawn(label: jax.Array, *, num_classes: int) -> jax.Array:
  """Returns the number of classes drawn in each image."""
  return class_paste.draw_paste_positions(
    jax.random.key(0),
    label,
    num_classes=num_classes,
    pool=range(FIRST_OF_POOL, num_classes),
  ).sum(-1)


@functools.partial(jax.jit, static_argnums=2)
def paste_mask(
  label: jax.Array, draws: jax.Array, num_classes: int
) -> jax.Array:
  """The pixels that recorded draws (-1: none) choose."""
  drawn = (draws[..., None] == np.arange(num_classes + 1)).any(1)
  return class_paste.paste_mask(
    label, drawn, offset=-1, pool=range(FIRST_OF_POOL, num_classes)
  )


def class_select(path: pathlib.Path) -> Iterator[Difference]:
  """Number of classes drawn, and the pixels of recorded draws."""
  d = common.load(path)
  for case, arrays in common.cases(d, '_', 'draws'):
    num_classes = max(int(arrays['y'].max()), FIRST_OF_POOL) + 1
    label = jnp.asarray(common.to_255(arrays['y']))
    drawn = _num_drawn(label, num_classes=num_classes)
    yield f'{case}_num_select', drawn, arrays['num_select'], *common.EXACT
    mask = paste_mask(label, arrays['draws'], num_classes)
    yield f'{case}_mask', mask, arrays['mask'], *common.EXACT
    yield (
      f'{case}_label',
      np.where(mask, arrays['y'], 0),
      arrays['label'],
      *common.EXACT,
    )
    if 'x' in arrays:
      yield (
        f'{case}_x_masked',
        arrays['x'] * np.asarray(mask)[..., None],
        arrays['x_masked'],
        *common.EXACT,
      )


@jax.jit
def _contrast(weak, strong, label):
  """The weighted sum's gradient, and the contrasts one by one."""

  def terms(weak, strong):
    by_class = view_contrast.view_class_contrast(
      strong, weak, label, temperature=1 / 7, all_images=False
    )
    return by_class + view_contrast.view_pixel_contrast(
      strong, weak, temperature=0.05
    ), by_class

  (total, by_class), gradient = jax.value_and_grad(terms, (0, 1), has_aux=True)(
    weak, strong
  )
  by_image = [
    view_contrast.view_pixel_contrast(s[None], w[None], temperature=0.05)
    for s, w in zip(strong, weak)
  ]
  return total, gradient, jnp.stack([by_class * len(label), *by_image])


def contrastive(path: pathlib.Path) -> Iterator[Difference]:
  """Values and gradients of both contrasts."""
  d = common.load(path)
  for case, arrays in common.cases(d, '_', 'low_weak'):
    label = jnp.asarray(common.to_255(arrays['label']))
    total, gradient, values = _contrast(
      arrays['low_weak'], arrays['low_strong'], label
    )
    # Without any class the reference has no term for it.
    values = values[-len(arrays['ce_values']) :]
    weight = float(arrays['weight'])
    for name, ours in {
      'loss': weight * total,
      'ce_values': values,
      'grad_weak': weight * gradient[0],
      'grad_strong': weight * gradient[1],
    }.items():
      yield (
        f'{case}_{name}',
        ours,
        arrays[name],
        *common.tolerance(arrays[name]),
      )


CHECKS = {
  'ehtdi/border*.npz': borders,
  'ehtdi/class_select*.npz': class_select,
  'ehtdi/contrastive*.npz': contrastive,
}
