"""Criteria without labels against true scores."""

import math

import numpy as np
import pytest

from uda_jax.evaluate import ranking
from uda_jax.evaluate import selection


def test_perfect_and_reversed_orders():
  score = [0.2, 0.5, 0.4, 0.3]
  found = ranking.agreement([1.0, 9.0, 3.0, 2.0], score)
  assert found == (4, pytest.approx(1), pytest.approx(1), 0.5, 0.5, 0.0)
  found = ranking.agreement([-1.0, -9.0, -3.0, -2.0], score)
  assert found.spearman == pytest.approx(-1)
  assert found.kendall == pytest.approx(-1)
  assert found.regret == pytest.approx(0.3)


def test_hand_worked_ranks():
  """Ranks 1 3 2 4 and 1 2 3 4: one of six pairs is reversed."""
  found = ranking.agreement([0.1, 0.3, 0.2, 0.4], [0.1, 0.2, 0.3, 0.4])
  assert found.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))
  assert found.kendall == pytest.approx((5 - 1) / 6)
  assert found.regret == 0


def test_ties_share_the_choice():
  found = ranking.agreement([1.0, 1.0, 0.0], [0.2, 0.4, 0.6])
  assert found.chosen == pytest.approx(0.3)
  assert found.regret == pytest.approx(0.3)
  # Pairs: a tie, and two that are reversed; tau-b = -2 / sqrt(2 * 3).
  assert found.kendall == pytest.approx(-2 / math.sqrt(6))


def test_unknown_values_are_left_out():
  found = ranking.agreement([1.0, None, math.nan, 2.0], [0.1, 0.9, 0.8, 0.2])
  assert found.networks == 2 and found.best == 0.2
  constant = ranking.agreement([1.0, 1.0], [0.1, 0.2])
  assert math.isnan(constant.spearman) and math.isnan(constant.kendall)
  assert ranking.agreement([1.0], [0.1]).regret == 0
  with pytest.raises(ValueError, match='expected a network with both'):
    ranking.agreement([None], [0.1])
  with pytest.raises(ValueError, match='for each of 2'):
    ranking.agreement([1.0, 2.0], [0.1])


def test_reports_are_compared_by_every_criterion():
  """A smaller entropy is better; one network has no teacher."""
  rows = [(0.9, 0.1, 0.4), (0.5, 0.3, 0.5), (0.2, None, 0.3)]
  reports = []
  for entropy, agreement, score in rows:
    free = dict(entropy=entropy, confident=1 - entropy, prior=entropy + 1)
    if agreement is not None:
      free['agreement'] = agreement
    reports.append({'miou': {'all classes': score}, 'label_free': free})
  found = ranking.compare(reports)
  assert list(found) == list(selection.LABEL_FREE)
  assert found['entropy'].networks == 3 and found['agreement'].networks == 2
  assert found['entropy'].chosen == 0.3
  assert found['entropy'].regret == pytest.approx(0.2)
  assert found['agreement'].spearman == pytest.approx(1)
  np.testing.assert_allclose(found['entropy'][1:], found['confident'][1:])
  assert ranking.compare([{'miou': {'all classes': 0.1}}]) == {}
