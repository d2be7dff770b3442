"""Agreement of criteria without labels with true scores.

An application without target labels chooses a run, or a step of a run, by such
a criterion (`selection.LABEL_FREE`). Where labels exist, this compares its
choice with theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from uda_jax.evaluate import selection


class Agreement(NamedTuple):
  """Agreement of a criterion with true scores.

  Attributes:
    networks: number of those that have both.
    spearman: rank correlation in -1..1; NaN for fewer than two networks, or if
      either value is the same for all.
    kendall: tau-b in -1..1, likewise.
    chosen: score of the network that the criterion prefers.
    best: score of the best network.
    regret: best - chosen, >= 0.
  """

  networks: int
  spearman: float
  kendall: float
  chosen: float
  best: float
  regret: float


def agreement(
  criterion: Sequence[float | None], score: Sequence[float | None]
) -> Agreement:
  """Compares the order of networks by a criterion with that by their scores.

  Spearman's coefficient is Pearson's of the ranks, ties with their mean rank;
  tau-b is Kendall's with a correction for ties (Kendall 1945, Biometrika
  33, 239-251). arXiv 2208.07360 compares such criteria by a weighted rank
  correlation and by the accuracy of the networks that they prefer.

  Args:
    criterion: a value for each network, larger is better; None or NaN: unknown.
    score: mean IoU of the same networks, or None.

  Returns:
    The agreement over networks that have both. If several share the largest
    criterion, `chosen` is the mean of their scores.

  Raises:
    ValueError: the lengths differ, or no network has both.

  Example:
    >>> found = agreement([0.1, 0.3, 0.2], [0.4, 0.5, 0.6])
    >>> print(f'{found.spearman:.2f} {found.kendall:.2f} {found.regret:.2f}')
    0.50 0.33 0.10
  """
  from scipy import stats

  x = np.array([np.nan if v is None else v for v in criterion], np.float64)
  y = np.array([np.nan if v is None else v for v in score], np.float64)
  if x.shape != y.shape:
    raise ValueError(
      f'agreement: expected a score for each of {x.size} criteria, got {y.size}'
    )
  known = ~(np.isnan(x) | np.isnan(y))
  x, y = x[known], y[known]
  if not x.size:
    raise ValueError('agreement: expected a network with both values, got none')
  spearman = kendall = float('nan')
  if len(set(x)) > 1 and len(set(y)) > 1:
    spearman = float(stats.spearmanr(x, y).statistic)
    kendall = float(stats.kendalltau(x, y).statistic)
  chosen, best = float(y[x == x.max()].mean()), float(y.max())
  return Agreement(x.size, spearman, kendall, chosen, best, best - chosen)


def criteria(statistics: Mapping[str, float]) -> dict[str, float]:
  """Returns the criteria of a network, larger is better.

  Args:
    statistics: `label_free` of a report; {}: nothing was measured.

  Returns:
    Values by row of `selection.LABEL_FREE`, without those that the network
    lacks (`agreement` without a teacher).
  """
  return {
    name: value(dict(statistics))
    for name, value in selection.LABEL_FREE.items()
    if name in statistics
  }


def compare(reports: Sequence[Mapping[str, Any]]) -> dict[str, Agreement]:
  """Returns the agreement of each criterion with the mean IoU of networks.

  Args:
    reports: of each network: `label_free` and `miou`, whose first subset
      counts.

  Returns:
    By row of `selection.LABEL_FREE`; {} where nothing was measured.
  """
  values = [criteria(report.get('label_free') or {}) for report in reports]
  scores = [next(iter(report['miou'].values())) for report in reports]
  found = {}
  for name in selection.LABEL_FREE:
    row = [value.get(name) for value in values]
    if any(x is not None and y is not None for x, y in zip(row, scores)):
      found[name] = agreement(row, scores)
  return found
