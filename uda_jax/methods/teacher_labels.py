"""The teacher's pseudo-labels of the target, and their weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax import pseudo_labels
from uda_jax import types
from uda_jax.ops import resize


def pseudo_label(
  config: types.Config,
  state: types.TrainState,
  batch: types.Batch,
  network: types.Network,
) -> tuple[jax.Array, jax.Array, jax.Array, types.PyTree]:
  """Labels the target by the teacher, and weighs the pixels.

  Args:
    config: the fields `threshold`, `pseudo_weight` and `teacher_bn`.
    state: its teacher is asked.
    batch: its target is labeled.
    network: the network.

  Returns:
    Labels [B, H, W] int32, weights [B, H, W] float, the fraction of
    confident pixels, and the teacher's new batch statistics.
  """
  teacher, target = state.wanted_teacher(), batch.wanted_target()
  outputs, stats = network.forward(
    teacher.params,
    teacher.batch_stats,
    network.normalize(target.image),
    use_running_average=config.teacher_bn == 'ema',
  )
  logits = resize.bilinear(outputs.logits, target.valid_mask.shape[1:3])
  label, confidence = pseudo_labels.from_logits(logits)
  weight, fraction = weigh(config, confidence, target.valid_mask)
  return jax.lax.stop_gradient((label, weight, fraction, stats))


def weigh(
  config: types.Config, confidence: jax.Array, valid_mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Weighs pseudo-labels by the fraction of confident ones.

  Args:
    config: the fields `threshold` and `pseudo_weight`.
    confidence: [B, H, W] float in [0, 1].
    valid_mask: [B, H, W] bool, False where pseudo-labels do not count.

  Returns:
    Weights [B, H, W] float, and the fraction [] of confident pixels of all.
  """
  weight = pseudo_labels.quality_weight(
    confidence, threshold=config.threshold, fraction_over=config.pseudo_weight
  )
  fraction = jnp.mean(confidence >= config.threshold, dtype=confidence.dtype)
  return pseudo_labels.mask_weight(weight, valid_mask), fraction
