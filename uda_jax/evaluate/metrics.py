"""Confusion matrix and the scores made from it.

The matrix is counted on the device, the scores are numpy on the host. Rows are
the truth, columns the prediction. A class that has no pixel in either has no
score: it is NaN and left out of means, not zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import labels

# Pixels counted at once: exact in float32 (up to 2^24), and small.
_CHUNK = 2**16


def confusion_matrix(
  label: jax.Array, prediction: jax.Array, *, num_classes: int
) -> jax.Array:
  """Counts the pixels of each pair of true and predicted class.

  Exact for up to 2^31 pixels; sum the matrices of several batches in int64.

  Args:
    label: [...] int; pixels outside [0, num_classes), such as ignored ones, are
      not counted.
    prediction: [...] int in [0, num_classes).
    num_classes: C.

  Returns:
    [C, C] int32, rows truth, columns prediction.
  """
  size = label.size
  chunk = min(_CHUNK, max(size, 1))
  chunks = lambda x: jnp.pad(
    x.reshape(-1), (0, -size % chunk), constant_values=labels.IGNORE_LABEL
  ).reshape(-1, chunk)

  def count(matrix, pair):
    truth, guess = (
      jax.nn.one_hot(x, num_classes, dtype=jnp.float32) for x in pair
    )
    return matrix + (truth.T @ guess).astype(jnp.int32), None

  start = jnp.zeros((num_classes, num_classes), jnp.int32)
  return jax.lax.scan(
    count,
    start,
    (chunks(label.astype(jnp.int32)), chunks(prediction.astype(jnp.int32))),
  )[0]


def count_pairs(
  label: np.ndarray, prediction: np.ndarray, *, num_classes: int
) -> np.ndarray:
  """Counts pairs like `confusion_matrix`, on the host.

  Args:
    label: [...] int in [0, num_classes).
    prediction: [...] int in [0, num_classes).
    num_classes: C.

  Returns:
    [C, C] int64, rows truth, columns prediction.
  """
  pair = label.astype(np.int64).ravel() * num_classes + prediction.ravel()
  counts = np.bincount(pair, minlength=num_classes**2)
  return counts.reshape(num_classes, num_classes)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
  """Returns part / whole, NaN where whole is 0."""
  part, whole = np.asarray(part, float), np.asarray(whole, float)
  return np.divide(
    part, whole, out=np.full(whole.shape, np.nan), where=whole > 0
  )


def mean(scores: np.ndarray, subset: Sequence[int] | None = None) -> float:
  """Returns the mean over the classes that have a score, NaN without any.

  Args:
    scores: [C] float, NaN = no score.
    subset: the classes that count; None = all.
  """
  if subset is not None:
    scores = scores[list(subset)]
  scores = scores[~np.isnan(scores)]
  return float(scores.mean()) if scores.size else float('nan')


def iou(matrix: np.ndarray) -> np.ndarray:
  """Returns intersection over union of each class, [C] float64."""
  matrix = np.asarray(matrix)
  hit = np.diag(matrix)
  return ratio(hit, matrix.sum(0) + matrix.sum(1) - hit)


def accuracy(matrix: np.ndarray) -> np.ndarray:
  """Returns the share of each class that is found (recall), [C] float64."""
  matrix = np.asarray(matrix)
  return ratio(np.diag(matrix), matrix.sum(1))


def pixel_accuracy(matrix: np.ndarray) -> float:
  """Returns the share of counted pixels that are right, NaN without any."""
  matrix = np.asarray(matrix)
  return float(ratio(np.trace(matrix), matrix.sum()))


def mean_iou(matrix: np.ndarray, subset: Sequence[int] | None = None) -> float:
  """Returns the mean of `iou` over the classes (of `subset`) that occur."""
  return mean(iou(matrix), subset)
