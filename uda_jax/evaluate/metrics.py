"""Confusion matrix, IoU and pixel accuracy.

The matrix is counted on the device (JAX), scores are computed on the host
(numpy). Rows are the true, columns the predicted classes. The score of a class
without pixels in truth and prediction is NaN and left out of means.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from uda_jax import labels

# Pixels counted at once; float32 counts exactly up to 2^24.
_CHUNK = 2**16


def confusion_matrix(
  label: jax.Array, prediction: jax.Array, *, num_classes: int
) -> jax.Array:
  """Counts the pixels of each pair of true and predicted class.

  Exact for up to 2^31 pixels; sum the matrices of several batches in int64.

  Args:
    label: [...] int; labels outside [0, num_classes), such as `IGNORE_LABEL`,
      are not counted.
    prediction: [...] int in [0, num_classes), same shape.
    num_classes: C.

  Returns:
    [C, C] int32, rows truth, columns prediction; zeros for an empty input.

  Raises:
    ValueError: the shapes differ.

  Example:
    >>> label, prediction = jnp.array([0, 0, 1, 255]), jnp.array([0, 1, 1, 0])
    >>> print(confusion_matrix(label, prediction, num_classes=2))
    [[1 1]
     [0 1]]
  """
  if label.shape != prediction.shape:
    raise ValueError(
      f'prediction: expected the shape {label.shape} of the label, got '
      f'{prediction.shape}'
    )
  size = label.size
  chunk = min(_CHUNK, max(size, 1))
  chunks = lambda x: jnp.pad(
    x.reshape(-1), (0, -size % chunk), constant_values=labels.IGNORE_LABEL
  ).reshape(-1, chunk)

  def count(
    matrix: jax.Array, pair: tuple[jax.Array, jax.Array]
  ) -> tuple[jax.Array, None]:
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
    prediction: [...] int in [0, num_classes), same shape.
    num_classes: C.

  Returns:
    [C, C] int64, rows truth, columns prediction.

  Example:
    >>> print(count_pairs(np.array([0, 1]), np.array([1, 1]), num_classes=2))
    [[0 1]
     [0 1]]
  """
  pair = label.astype(np.int64).ravel() * num_classes + prediction.ravel()
  counts = np.bincount(pair, minlength=num_classes**2)
  return counts.reshape(num_classes, num_classes)


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> np.ndarray:
  """Quotient part / whole in float64, NaN where whole is 0.

  Args:
    part: [...] numbers.
    whole: [...] numbers >= 0, of the same shape.

  Returns:
    [...] float64.

  Example:
    >>> print(ratio([1, 0], [4, 0]))
    [0.25  nan]
  """
  part, whole = np.asarray(part, float), np.asarray(whole, float)
  return np.divide(
    part, whole, out=np.full(whole.shape, np.nan), where=whole > 0
  )


def mean(scores: np.ndarray, subset: Sequence[int] | None = None) -> float:
  """Mean of the scores that are not NaN.

  Args:
    scores: [C] float, NaN for classes without a score.
    subset: classes to average over; None: all.

  Returns:
    Float, NaN if no class has a score.

  Example:
    >>> mean(np.array([0.5, np.nan, 1.0]))
    0.75
  """
  if subset is not None:
    scores = scores[list(subset)]
  scores = scores[~np.isnan(scores)]
  return float(scores.mean()) if scores.size else float('nan')


def iou(matrix: np.ndarray) -> np.ndarray:
  """Intersection over union of each class.

  Args:
    matrix: [C, C] int, see `confusion_matrix`.

  Returns:
    [C] float64 in [0, 1], NaN for a class without pixels in truth and
    prediction.

  Example:
    >>> print(iou([[6, 2, 0], [1, 3, 0], [0, 0, 0]]))
    [0.6667 0.5       nan]
  """
  matrix = np.asarray(matrix)
  hit = np.diag(matrix)
  return ratio(hit, matrix.sum(0) + matrix.sum(1) - hit)


def accuracy(matrix: np.ndarray) -> np.ndarray:
  """Fraction of each class's pixels that are predicted correctly (recall).

  Args:
    matrix: [C, C] int, see `confusion_matrix`.

  Returns:
    [C] float64 in [0, 1], NaN for a class without pixels in truth.

  Example:
    >>> print(accuracy([[6, 2, 0], [1, 3, 0], [0, 0, 0]]))
    [0.75 0.75  nan]
  """
  matrix = np.asarray(matrix)
  return ratio(np.diag(matrix), matrix.sum(1))


def precision(matrix: np.ndarray) -> np.ndarray:
  """Fraction of the pixels predicted as each class that are of it.

  Args:
    matrix: [C, C] int, see `confusion_matrix`.

  Returns:
    [C] float64 in [0, 1], NaN for a class that is never predicted.

  Example:
    >>> print(precision([[6, 2, 0], [2, 3, 0], [0, 0, 0]]))
    [0.75 0.6   nan]
  """
  matrix = np.asarray(matrix)
  return ratio(np.diag(matrix), matrix.sum(0))


def frequency_weighted_iou(
  matrix: np.ndarray, subset: Sequence[int] | None = None
) -> float:
  """Sum of `iou` times each class's fraction of all counted pixels.

  Args:
    matrix: [C, C] int, see `confusion_matrix`.
    subset: classes to sum over; None: all. The fractions stay those of all
      classes, as in the evaluation of PixMatch and EHTDI.

  Returns:
    Float in [0, 1], NaN for an empty matrix.

  Example:
    >>> print(f'{frequency_weighted_iou([[6, 2], [1, 3]]):.4f}')
    0.6111
  """
  matrix = np.asarray(matrix)
  shares = ratio(matrix.sum(1), np.full(len(matrix), matrix.sum()))
  weighted = np.where(shares == 0, 0, shares * iou(matrix))
  return float(weighted[slice(None) if subset is None else list(subset)].sum())


def pixel_accuracy(matrix: np.ndarray) -> float:
  """Fraction of the counted pixels that are predicted correctly.

  Args:
    matrix: [C, C] int, see `confusion_matrix`.

  Returns:
    Float in [0, 1], NaN for an empty matrix.

  Example:
    >>> pixel_accuracy([[6, 2], [1, 3]])
    0.75
  """
  matrix = np.asarray(matrix)
  return float(ratio(np.trace(matrix), matrix.sum()))


def mean_iou(matrix: np.ndarray, subset: Sequence[int] | None = None) -> float:
  """Mean of `iou` over the classes that occur.

  Args:
    matrix: [C, C] int, see `confusion_matrix`.
    subset: classes to average over; None: all.

  Returns:
    Float in [0, 1], NaN if no class occurs.

  Example:
    >>> print(f'{mean_iou([[6, 2, 0], [1, 3, 0], [0, 0, 0]]):.4f}')
    0.5833
  """
  return mean(iou(matrix), subset)
