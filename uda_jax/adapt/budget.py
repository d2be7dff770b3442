"""Fits a run into a number of minutes, by what was measured.

The time left after the measurement pays, in this order: starting both runs,
their evaluations, scores, predictions (a quarter of it at most), and a reserve
of a tenth for what is not measured (saving, pictures, export, the page). The
rest is divided by the seconds that a step of both runs takes.
"""

from __future__ import annotations

from typing import NamedTuple

from uda_jax import duration

_RESERVE = 0.1
_MOST_PREDICTION = 0.25
# A shorter run shows nothing.
_LEAST_STEPS = 20


class Cost(NamedTuple):
  """Seconds that a run takes.

  Attributes:
    start: until the first step, with compiled programs in the cache.
    step: of a training step.
    evaluation: of an evaluation during training.
    labeled: of an image to score.
    evaluations: during training and at its end.
    prediction: of an image of the target, written.
  """

  start: float
  step: float
  evaluation: float
  labeled: float
  evaluations: int
  prediction: float


class Plan(NamedTuple):
  """A run that fits.

  Attributes:
    steps: of each run.
    predictions: of target images.
    seconds: of each stage, by name.
  """

  steps: int
  predictions: int
  seconds: dict[str, float]


def fit(
  costs: dict[str, Cost],
  *,
  left: float | None,
  steps: int,
  images: int,
  scored: int,
) -> Plan:
  """Returns how many steps and predictions fit.

  Args:
    costs: of the runs, by name; the last one predicts.
    left: seconds; None: as many as it takes.
    steps: of each run if `left` is None.
    images: of the target that are wanted predicted.
    scored: labeled images of the target.

  Raises:
    ValueError: not even a few steps fit.
  """
  prediction = list(costs.values())[-1].prediction
  fixed = {
    name: cost.start + cost.evaluations * cost.evaluation
    for name, cost in costs.items()
  }
  scoring = scored * sum(cost.labeled for cost in costs.values())
  if left is not None:
    images = min(images, max(1, int(_MOST_PREDICTION * left / prediction)))
    free = left * (1 - _RESERVE) - sum(fixed.values()) - scoring
    free -= images * prediction
    steps = int(free / sum(cost.step for cost in costs.values()))
  if steps < _LEAST_STEPS and left is not None:
    least = _LEAST_STEPS * sum(cost.step for cost in costs.values())
    needed = sum(fixed.values()) + least + scoring + prediction
    needed /= 1 - _RESERVE
    raise ValueError(
      f'--minutes: expected about {duration.text(needed - left)} more: '
      f'{duration.text(max(left, 0))} are left after the measurement, and '
      f'{_LEAST_STEPS} steps with evaluations take {duration.text(needed)}'
    )
  seconds = {
    name: fixed[name] + steps * cost.step for name, cost in costs.items()
  }
  seconds |= {'score': scoring, 'predict': images * prediction}
  return Plan(steps, images, seconds)
