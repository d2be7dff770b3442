"""True and predicted classes of the images of a split, counted on the devices.

Every process feeds its own rows; all of them get the counts of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from uda_jax import labels
from uda_jax import parallel
from uda_jax import types
from uda_jax.evaluate import inference
from uda_jax.evaluate import metrics


class Counts(NamedTuple):
  """Confusion and confidence of images, row by row.

  Attributes:
    index: [N] int, which images of the data set these are, -1 for rows that
      fill a batch up.
    matrix: [N, C, C] int, rows truth, columns prediction.
    confidence: [N] float, mean over all pixels of an image of the probability
      of the predicted class.
  """

  index: Any
  matrix: Any
  confidence: Any


@functools.partial(jax.jit, static_argnames=('num_classes', 'mesh'))
def _count(label, prediction, confidence, index, *, num_classes, mesh):
  """Counts row by row, so that each device counts its own rows."""
  count = functools.partial(metrics.confusion_matrix, num_classes=num_classes)
  matrix = jax.vmap(count)(label, prediction)
  counts = Counts(index, matrix, confidence.mean((1, 2)))
  if mesh is None:
    return counts
  return jax.lax.with_sharding_constraint(counts, parallel.replicated(mesh))


def evaluate(
  predict: inference.Predict,
  variables: types.Variables,
  batches: Iterable[Any],
  *,
  num_classes: int,
) -> np.ndarray:
  """Counts true and predicted classes over a split.

  Arguments and errors are those of `count_images`.

  Returns:
    [C, C] int64, rows truth, columns prediction; the sum over all processes.
  """
  counts = count_images(predict, variables, batches, num_classes=num_classes)
  return counts.matrix.sum(0)


def count_images(
  predict: inference.Predict,
  variables: types.Variables,
  batches: Iterable[Any],
  *,
  num_classes: int,
) -> Counts:
  """Counts true and predicted classes of each image of a split.

  Args:
    predict: from `inference.make_predict`.
    variables: variables of the network.
    batches: of this process, with fields `image` [B, H, W, N] uint8, `label`
      [B, h, w] int, `index` [B] int, `valid` [B] bool: rows that are not
      valid, and pixels that are ignored, count nowhere. Sizes may differ from
      batch to batch; all processes give equally many batches of the same
      sizes.
    num_classes: C.

  Returns:
    The images of all processes, in the order of their index.

  Raises:
    ValueError: there is no batch, or the network's logits are not finite.
  """
  found: list[Counts] = []
  waiting = None
  for batch in batches:
    valid = np.asarray(batch.valid)
    label = np.where(valid[:, None, None], batch.label, labels.IGNORE_LABEL)
    rows = predict.on_devices(variables, batch.image, label.shape[1:])
    place = functools.partial(parallel.place_rows, mesh=predict.mesh)
    counts = _count(
      place(label, filling=labels.IGNORE_LABEL),
      *rows,
      place(np.where(valid, batch.index, -1), filling=-1),
      num_classes=num_classes,
      mesh=predict.mesh,
    )
    # Read one batch late: the next images are fetched while this one computes.
    if waiting is not None:
      found.append(jax.device_get(waiting))
    waiting = counts
  if waiting is None:
    raise ValueError('evaluate: expected at least one batch, got none')
  found.append(jax.device_get(waiting))
  whole = _in_order(found)
  inference.check_finite(whole.confidence)
  return whole


def _in_order(found: Sequence[Counts]) -> Counts:
  """Joins counts, without filling rows, sorted by index."""
  whole = Counts(*map(np.concatenate, zip(*found)))
  order = np.argsort(whole.index, kind='stable')
  order = order[whole.index[order] >= 0]
  matrix = whole.matrix[order].astype(np.int64)
  return Counts(whole.index[order], matrix, whole.confidence[order])
