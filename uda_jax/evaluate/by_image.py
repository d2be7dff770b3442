"""Scores of single images: the worst, the best, and how they spread."""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
import os
import pathlib
from typing import Any

import numpy as np

from uda_jax.evaluate import counts as counts_lib
from uda_jax.evaluate import metrics

# Images that results name at each end.
_NAMED = 10
# Rows of a page of pictures.
_SHOWN = 4
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def summary(
  counts: counts_lib.Counts, image_paths: Sequence[str]
) -> dict[str, Any]:
  """Ranks the images of a split by their mean IoU.

  The mean IoU of an image is over the classes in its label or prediction. An
  image without a labeled pixel has none and is left out.

  Args:
    counts: of all images, in the order of `image_paths`.
    image_paths: their files.

  Returns:
    JSON-able: `count` of the ranked images, `confidence` (mean over all
    images), `miou_quantiles`, and `worst` and `best`: at most 10 rows of
    `number`, `image`, `miou`, `pixel_accuracy` and `confidence`, the worst and
    the best first; `counts`: see `packed`, of all images; `names`: a hash of
    the files' names, equal for two networks on the same images.
  """
  scores = np.array([metrics.mean_iou(matrix) for matrix in counts.matrix])
  scored = counts.matrix.sum((1, 2)) > 0
  order = np.argsort(np.where(scored, scores, np.inf), kind='stable')
  order = order[: scored.sum()]

  def row(i: int) -> dict[str, Any]:
    return {
      'number': int(counts.index[i]),
      'image': str(image_paths[counts.index[i]]),
      'miou': float(scores[i]),
      'pixel_accuracy': metrics.pixel_accuracy(counts.matrix[i]),
      'confidence': float(counts.confidence[i]),
    }

  ranked = scores[order]
  quantiles = np.quantile(ranked, _QUANTILES) if len(ranked) else ()
  return {
    'count': len(order),
    'confidence': float(counts.confidence.mean()),
    'miou_quantiles': {
      f'{q:g}': float(value) for q, value in zip(_QUANTILES, quantiles)
    },
    'worst': [row(i) for i in order[:_NAMED]],
    'best': [row(i) for i in order[::-1][:_NAMED]],
    'counts': packed(counts.matrix),
    'names': _digest(image_paths),
  }


def packed(matrix: np.ndarray) -> list[str]:
  """Writes what the IoU of each image is made of, for JSON.

  Args:
    matrix: [N, C, C] int, confusion of each image, rows truth.

  Returns:
    N texts of C words, `INTERSECTION/UNION` in pixels.

  Example:
    >>> packed(np.array([[[6, 2], [1, 0]]]))
    ['6/9 0/3']
  """
  return [
    ' '.join(f'{hit}/{union}' for hit, union in image)
    for image in intersections(matrix)
  ]


def intersections(matrix: np.ndarray) -> np.ndarray:
  """Returns intersection and union of each class.

  Args:
    matrix: [..., C, C] int, rows truth.

  Returns:
    [..., C, 2] int.
  """
  hit = np.diagonal(matrix, axis1=-2, axis2=-1)
  union = matrix.sum(-1) + matrix.sum(-2) - hit
  return np.stack([hit, union], -1)


def unpacked(texts: Sequence[str]) -> np.ndarray:
  """Reads what `packed` wrote.

  Args:
    texts: N texts of equally many words.

  Returns:
    [N, C, 2] int64, intersection and union of each class.

  Raises:
    ValueError: a text is something else.
  """
  rows = []
  for text in texts:
    words = [word.split('/') for word in text.split()]
    if not words or any(len(word) != 2 for word in words):
      raise ValueError(f"expected words such as '6/9', got {text!r}")
    rows.append([[int(number) for number in word] for word in words])
  if len({len(row) for row in rows}) > 1:
    raise ValueError('expected the same classes in each image, got others')
  return np.array(rows, np.int64)


def _digest(image_paths: Sequence[str]) -> str:
  names = '\n'.join(pathlib.PurePath(path).name for path in image_paths)
  # Names are bytes, which need not be UTF-8.
  return hashlib.sha256(os.fsencode(names)).hexdigest()[:16]


def shown(images: dict[str, Any]) -> dict[str, list[int]]:
  """Returns the numbers of the images to draw, by the name of their page.

  Args:
    images: of `summary`.
  """
  numbers = lambda kind: [row['number'] for row in images[kind]][:_SHOWN]
  return {'worst': numbers('worst'), 'best': numbers('best')}


def random_numbers(size: int) -> list[int]:
  """Returns the numbers of a few images, the same for every run on a split."""
  random = np.random.Generator(np.random.PCG64(0))
  return sorted(map(int, random.permutation(size)[:_SHOWN]))
