"""Parts of VFM-UDA's step: flips, pseudo-labels, pasting, feature distance."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from uda_jax import labels
from uda_jax import pseudo_labels
from uda_jax import rng
from uda_jax import types
from uda_jax.augment import classmix
from uda_jax.augment import flip as flip_lib
from uda_jax.losses import feature_distance as distance_lib
from uda_jax.losses import segmentation
from uda_jax.methods import self_training
from uda_jax.methods import teacher_labels
from uda_jax.ops import resize


def flip_batch(
  batch: types.Batch, source_on: jax.Array, target_on: jax.Array
) -> types.Batch:
  """Mirrors images and labels; the target's valid mask stays (released code).

  Args:
    batch: one group.
    source_on: [B] bool, which images are mirrored, or [] for all alike.
    target_on: the same for the target.
  """
  source, target = batch.source, batch.wanted_target()
  return batch._replace(
    source=source._replace(
      image=flip_lib.flip(jnp.asarray(source.image), source_on),
      label=flip_lib.flip(jnp.asarray(source.label), source_on),
    ),
    target=target._replace(
      image=flip_lib.flip(jnp.asarray(target.image), target_on)
    ),
  )


def paste(
  mask: jax.Array, source_label: jax.Array, label: jax.Array, weight: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Pastes labels; pasted pixels weigh 1, or 0 where they are ignored.

  Args:
    mask: [B, H, W] bool, the pixels that are pasted.
    source_label: [B, H, W] int.
    label: [B, H, W] int, pseudo-labels.
    weight: [B, H, W] float, of the pseudo-labels.

  Returns:
    Labels [B, H, W] int and weights [B, H, W] float.
  """
  known = (source_label != labels.IGNORE_LABEL).astype(weight.dtype)
  return (
    classmix.mix(mask, source_label, label),
    classmix.mix(mask, known, weight),
  )


def pseudo_label(
  config: types.Config,
  state: types.TrainState,
  batch: types.Batch,
  network: types.Network,
) -> tuple[jax.Array, jax.Array, jax.Array, types.PyTree]:
  """Labels the target by the teacher's mean over two mirror images.

  Args:
    config: the fields `threshold`, `pseudo_weight` and `teacher_bn`.
    state: its teacher is asked.
    batch: its target is labeled.
    network: the network.

  Returns:
    Labels [B, H, W] int32, weights [B, H, W] float, the fraction of confident
    pixels (of all, margins included), and the teacher's new batch statistics.
  """
  teacher, target = state.wanted_teacher(), batch.wanted_target()
  stats = teacher.batch_stats
  image = network.normalize(target.image)
  logits = []
  for x in (image, jnp.flip(image, 2)):
    outputs, stats = network.forward(
      teacher.params,
      stats,
      x,
      use_running_average=config.teacher_bn == 'ema',
    )
    logits.append(resize.bilinear(outputs.logits, image.shape[1:3]))
  label, confidence = pseudo_labels.from_mirrored_pair(*logits)
  weight, fraction = teacher_labels.weigh(config, confidence, target.valid_mask)
  return jax.lax.stop_gradient((label, weight, fraction, stats))


def feature_distance(
  network: types.Network,
  outputs: types.Outputs,
  reference: jax.Array,
  params: types.PyTree,
  stats: types.PyTree,
) -> jax.Array:
  """Distance of the student's coarsest map to a frozen network's features.

  Args:
    network: with a head 'feature_head', a `FeatureProjection`.
    outputs: of the student.
    reference: [B, h, w, D] float, features of the frozen network.
    params: the student's.
    stats: the student's batch statistics.

  Returns:
    [] float, see `feature_distance.smooth_cosine_distance`.
  """
  projected, _ = self_training.apply_head(
    network, 'feature_head', params, stats, outputs.features[-1]
  )
  projected = resize.bilinear(projected, reference.shape[1:3])
  return distance_lib.smooth_cosine_distance(
    projected, jax.lax.stop_gradient(reference)
  )


def distance_terms(
  config: types.Config,
  augment: Callable[[jax.Array, jax.Array], jax.Array],
  key: jax.Array,
  params: types.PyTree,
  stats: types.PyTree,
  batch: types.Batch,
  network: types.Network,
  frozen: types.Variables | None,
) -> tuple[types.Terms, types.PyTree]:
  """The feature distances of clean source and target images (VFM-UDA++).

  The student sees a weakly jittered copy, the frozen network the image itself.

  Returns:
    Terms by name, and the student's batch statistics after both passes.
  """
  reference = network.reference
  assert reference is not None and frozen is not None  # `weight_distance`
  terms = {}
  images = {
    'source': batch.source.image,
    'target': batch.wanted_target().image,
  }
  for domain, clean in images.items():
    name = f'distance_{domain}'
    key_here = rng.stream(key, name)
    outputs, stats = network.forward(
      params,
      stats,
      network.normalize(augment(key_here, clean)),
      key=rng.stream(key_here, 'dropout'),
    )
    value = feature_distance(
      network,
      outputs,
      reference.features(frozen, network.normalize(clean)),
      params,
      stats,
    )
    terms[name] = types.LossTerm(value, config.weight_distance)
  return terms, stats


def segment(
  keys: dict[str, jax.Array],
  params: types.PyTree,
  network: types.Network,
  name: str,
  stats: types.PyTree,
  data: self_training.Labeled,
  *,
  mask: jax.Array | None = None,
  **options,
) -> tuple[jax.Array, types.PyTree]:
  """The cross-entropy of a pass of the student, and its statistics after it.

  Args:
    keys: of the step's parts.
    params: the student's.
    network: the network.
    name: of the pass, for its dropout.
    stats: the student's batch statistics.
    data: the images and their labels.
    mask: what the encoder sees of the images, see `types.Network`.
    **options: of `segmentation.resized_cross_entropy`.
  """
  outputs, stats = network.forward(
    params,
    stats,
    network.normalize(data.pixels),
    key=rng.stream(keys[name], 'dropout'),
    **({} if mask is None else {'mask': mask}),
  )
  value = segmentation.resized_cross_entropy(
    outputs.logits, data.label, weight=data.weight, **options
  )
  return value, stats


def panels(
  batch: types.Batch,
  source: self_training.Labeled,
  before: jax.Array,
  mixed: self_training.Labeled,
  masked: self_training.Labeled,
) -> dict[str, jax.Array]:
  """Panels of the log: images [B, H, W, 3], labels and weights [B, H, W]."""
  # The pseudo-labels of both have weights.
  assert mixed.weight is not None and masked.weight is not None
  return {
    'source': source.pixels,
    'label': source.label,
    'target': batch.wanted_target().image,
    'pseudo_label': masked.label,
    'pseudo_weight': masked.weight,
    'mixed_before': before,
    'mixed': mixed.pixels,
    'mixed_label': mixed.label,
    'mixed_weight': mixed.weight,
    'masked': masked.pixels,
  }
