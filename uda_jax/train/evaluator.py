"""Evaluation of a run's networks: scores, and predictions to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from uda_jax import types
from uda_jax.data import manifest
from uda_jax.evaluate import scoring
from uda_jax.train import setup

# Images whose predictions a run shows.
_EXAMPLES = 4


class Example(NamedTuple):
  """An image of the evaluation split with its prediction, as host arrays.

  Attributes:
    image: [H, W, 3] uint8.
    truth: [h, w] int32, `labels.IGNORE_LABEL` where unknown.
    prediction: [h, w] int32.
    confidence: [h, w] float32 in 0..1, the probability of the prediction.
  """

  image: np.ndarray
  truth: np.ndarray
  prediction: np.ndarray
  confidence: np.ndarray


class Evaluator(NamedTuple):
  """Evaluation of a network during a run.

  Attributes:
    score: f(variables, other) -> report, `label_free` included.
    full_size: f(variables) -> report against labels of full size, without
      `label_free`; None if `score` is that.
    examples: f(variables, numbers) -> this process's `Example`s of some images
      of the split; `numbers` None: fixed ones.
  """

  score: scoring.Score
  full_size: scoring.Score | None
  examples: Callable[..., list[Example]]


def make(
  run: setup.Run, between: Callable[[], None] = lambda: None
) -> Evaluator:
  """Makes the evaluation of a run.

  Args:
    run: the run.
    between: called after each batch, in all processes equally often; what it
      raises ends the evaluation.
  """
  config, data = run.config, run.data.evaluation
  predict = scoring.make_predict(config, run.recipe.network, run.mesh)
  labeled = scoring.make_labeled(config, predict, data, between)
  label_free = scoring.make_label_free(
    config,
    run.recipe.network,
    run.data.target,
    run.mesh,
    between,
    class_pixels=run.data.source.class_pixels.sum(0),
  )

  def score(
    variables: types.Variables, other: types.Variables | None = None
  ) -> dict[str, Any]:
    report = labeled.score(variables)
    if config.eval.label_free.num_images:
      report['label_free'] = label_free(variables, other)
    return report

  def examples(
    variables: types.Variables, numbers: Sequence[int] | None = None
  ) -> list[Example]:
    chosen = scoring.spread(data, _EXAMPLES)
    if numbers is not None:
      chosen = manifest.take(data, numbers)
    found: dict[int, Example] = {}
    for batch in scoring.batches(config, chosen, mesh=run.mesh):
      size = batch.label.shape[1:]
      maps = predict.with_confidence(variables, batch.image, size)
      rows = zip(batch.image, batch.label, *maps, batch.index, batch.valid)
      found |= {int(i): Example(*row) for *row, i, valid in rows if valid}
    return [found[i] for i in sorted(found)]

  return Evaluator(score, labeled.full_size, examples)
