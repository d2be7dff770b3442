"""VFM-UDA: flips, jitter, ClassMix, pseudo-labels, block masks.

Every check yields (name, ours, golden, atol, rtol); sizes are read from the
files. Precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax import labels
from uda_jax import pseudo_labels
from uda_jax.augment import classmix
from uda_jax.augment import dacs_jitter
from uda_jax.augment import flip as flip_lib
from uda_jax.augment import masking
from uda_jax.augment import vfm_jitter
from uda_jax.methods import vfm_uda_terms

# Both of the released code; no file has them.
MASK_RATIO = 0.7
STRENGTHS = {'weak': vfm_jitter.WEAK, 'uda': vfm_jitter.UDA}


def flip(path: pathlib.Path) -> Iterator[common.Difference]:
  """Images and labels mirrored by recorded draws."""
  d = common.load(path)
  on = flip_lib.flip_is_on(d['u'])
  for name in ('image', 'label'):
    ours = flip_lib.flip(jnp.asarray(d[name]), on)
    yield name, ours, d[f'{name}_out'], *common.EXACT


def augment(path: pathlib.Path) -> Iterator[common.Difference]:
  """Jitter and blur by recorded draws, and the sizes of blur kernels."""
  d = common.load(path)
  for name, case in common.cases(d, '.', 'factors'):
    on = np.stack(
      [case['jitter_on'], np.zeros_like(case['blur_on']), case['blur_on']], -1
    )
    # What is off has no draw.
    jittered = case['order'] >= 0
    draw = vfm_jitter.Draw(
      jnp.asarray(on > 0),
      jnp.asarray(np.where(jittered, case['factors'], 1.0)),
      jnp.asarray(np.where(jittered, case['order'], np.arange(4))),
      jnp.asarray(np.nan_to_num(case['sigma'], nan=1.0)),
    )
    ours = vfm_jitter.apply(
      jnp.asarray(255 * case['image']),
      draw,
      STRENGTHS[name],
      blur_size=int(d['kernel_size']),
    )
    yield f'{name}.out', ours / 255, case['out'], 1e-5, 1e-4
  for side, size in d['kernel_sizes_of']:
    ours = dacs_jitter.blur_size(int(side))
    yield f'kernel_size_of.{side}', ours, size, *common.EXACT


def chosen(unique: np.ndarray, choice: np.ndarray, num_classes: int):
  """Recorded indices into the labels present, as `classmix` has a choice."""
  rows = np.zeros((len(choice), num_classes + 1), bool)
  for row, ids in zip(rows, unique[choice]):
    row[np.minimum(ids, num_classes)] = True
  return jnp.asarray(rows)


def class_mix(path: pathlib.Path) -> Iterator[common.Difference]:
  """Pasted classes, labels and weights, without augmentation."""
  for name, d in common.cases(common.load(path), '.', 'choice'):
    classes = d['unique_batch']
    num_classes = 1 + max(classes[classes != labels.IGNORE_LABEL])
    label = jnp.asarray(d['label'])
    mask = classmix.class_mask(
      label, chosen(classes, d['choice'], int(num_classes))
    )
    pasted = vfm_uda_terms.paste(
      mask, label, jnp.asarray(d['pseudo_label']), d['pseudo_weight']
    )
    ours = {
      'mask': mask,
      'mixed_img': classmix.mix(mask, d['img_s'], d['img_t']),
      'mixed_label': pasted[0],
      'mixed_weight': pasted[1],
    }
    for key, value in ours.items():
      yield f'{name}.{key}', value, d[key], *common.EXACT


def pseudo_label(path: pathlib.Path) -> Iterator[common.Difference]:
  """Labels and weights of recorded logits of an image and its mirror image."""
  arrays = common.load(path)
  threshold = float(arrays['threshold'])
  for name, d in common.cases(arrays, '.', 'logits_of_flipped'):
    pair = jnp.asarray(d['logits']), jnp.asarray(d['logits_of_flipped'])
    label, confidence = pseudo_labels.from_mirrored_pair(*pair)
    weight = pseudo_labels.quality_weight(confidence, threshold=threshold)
    share = np.asarray(weight).flat[0]
    valid = d['ignore_mask'] != labels.IGNORE_LABEL
    yield f'{name}.label', label, d['label'], *common.EXACT
    ours = {
      'weight': pseudo_labels.mask_weight(weight, valid),
      'probability': pseudo_labels.mirrored_mean(*pair),
      'share': share,
    }
    for key, value in ours.items():
      yield f'{name}.{key}', value, d[key], *common.tolerance()
    count = np.sum(np.asarray(confidence) >= threshold)
    yield f'{name}.n_confident', count, d['n_confident'], *common.EXACT


def block_mask(path: pathlib.Path) -> Iterator[common.Difference]:
  """Visible blocks of recorded draws, and the size of their grid."""
  for name, d in common.cases(common.load(path), '.', 'keep'):
    size = (int(d['side']),) * 2
    grid = masking.block_grid(size, int(d['block']))
    yield f'{name}.grid', grid, d['u'].shape[1:], *common.EXACT
    # Compared in float32, as the released code does.
    uniform = jnp.asarray(d['u'], jnp.float32)
    ours = masking.visible_mask(uniform, size, ratio=MASK_RATIO)
    yield f'{name}.keep', ours, d['keep'], *common.EXACT


CHECKS = {
  'vfm/flip*.npz': flip,
  'vfm/augment*.npz': augment,
  'vfm/classmix*.npz': class_mix,
  'vfm/pseudo_label*.npz': pseudo_label,
  'vfm/block_mask*.npz': block_mask,
}
