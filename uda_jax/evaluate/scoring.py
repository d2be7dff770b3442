"""Scores of a network on the data of a config, with and without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import functools
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh
import ml_collections
import numpy as np

from uda_jax import parallel
from uda_jax import types
from uda_jax.data import image_size
from uda_jax.data import manifest
from uda_jax.data import splits
from uda_jax.evaluate import by_image
from uda_jax.evaluate import counts as counts_lib
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.evaluate import reports
from uda_jax.evaluate import selection

Score = Callable[..., dict[str, Any]]


def subsets(
  config: ml_collections.ConfigDict, class_names: Sequence[str]
) -> dict[str, tuple[int, ...]]:
  """Returns the classes of each reported mean: all, and named subsets."""
  named = {name: tuple(ids) for name, ids in config.eval.subsets.items()}
  return {reports.ALL: tuple(range(len(class_names))), **named}


def batches(
  config: ml_collections.ConfigDict,
  data: manifest.Manifest,
  label_size: image_size.Size = (0, 0),
  between: Callable[[], None] = lambda: None,
  mesh: Mesh | None = None,
) -> Iterator[Any]:
  """Yields this process's batches of a data set, as the evaluation sees it.

  Args:
    config: `eval.batch_size` and the image sizes of `data` are read.
    data: manifest of the images.
    label_size: (height, width) that labels are brought to; (0, 0) = full.
    between: called after each batch.
    mesh: the devices that share images of different sizes; None: one.
  """
  for batch in splits.eval_batches(
    data,
    batch_size=config.eval.batch_size,
    rule=image_size.seen(config.data),
    label_size=label_size,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    devices=mesh.local_mesh.size if mesh else 1,
  ):
    yield batch
    between()


def make_predict(
  config: ml_collections.ConfigDict, network: types.Network, mesh: Mesh
) -> inference.Predict:
  """Returns the prediction that a run is evaluated with.

  Args:
    config: `eval` is read, see `protocol.configured`.
    network: any.
    mesh: the devices, which hold the network's variables.
  """
  return inference.make_predict(
    network, protocol.configured(config.eval), mesh=mesh
  )


class Labeled(NamedTuple):
  """Scores on a labeled split.

  Attributes:
    score: f(variables) -> report by the protocol of `eval`.
    full_size: likewise against labels of full size; None if the protocol's
      labels have it.
  """

  score: Score
  full_size: Score | None


def make_labeled(
  config: ml_collections.ConfigDict,
  predict: inference.Predict,
  data: manifest.Manifest,
  between: Callable[[], None] = lambda: None,
) -> Labeled:
  """Returns the scores of a network on a labeled split.

  Args:
    config: `eval` and the image sizes of `data` are read.
    predict: the prediction that is scored, see `make_predict`.
    data: manifest of the split.
    between: called after each batch.
  """

  def score(size: image_size.Size, variables: types.Variables):
    counts = counts_lib.count_images(
      predict,
      variables,
      batches(config, data, size, between, predict.mesh),
      num_classes=len(data.class_names),
    )
    report = _report(config, data, counts.matrix)
    report['images'] = by_image.summary(counts, data.originals)
    return report | ({'label_size': list(size)} if any(size) else {})

  size = tuple(config.eval.label_size)
  full = functools.partial(score, (0, 0))
  return Labeled(functools.partial(score, size), full if any(size) else None)


def _report(
  config: ml_collections.ConfigDict, data: manifest.Manifest, matrix: np.ndarray
) -> dict[str, Any]:
  """Returns the report of a split; of several sets, their mean and each.

  Args:
    config: `eval.subsets` is read.
    data: the images.
    matrix: [N, C, C] counts of each.
  """
  names = data.class_names
  make = lambda rows: reports.report(rows.sum(0), names, subsets(config, names))
  if not data.sets:
    return make(matrix)
  titles = [one.title for one in data.sets]
  sets = {
    one.title if titles.count(one.title) == 1 else f'{one.title} {one.name}': (
      make(matrix[one.start : one.stop])
    )
    for one in data.sets
  }
  return reports.mean(sets, matrix.sum(0))


def make_label_free(
  config: ml_collections.ConfigDict,
  network: types.Network,
  data: manifest.Manifest,
  mesh: Mesh,
  between: Callable[[], None] = lambda: None,
  *,
  class_pixels: np.ndarray,
) -> Score:
  """Returns f(variables, other) -> criteria, see `selection.summarize`.

  Args:
    config: `eval` and the image sizes of `data` are read.
    network: any.
    data: manifest of images, of which `eval.label_free.num_images` are taken,
      spread over the whole.
    mesh: the devices, which hold the networks' variables.
    between: called after each batch.
    class_pixels: [C] labeled pixels of each class of the source.
  """
  measure = _make_statistics(config.eval, network, mesh)

  def score(
    variables: types.Variables, other: types.Variables | None
  ) -> dict[str, float]:
    chosen = spread(data, config.eval.label_free.num_images)
    of_image: dict[int, dict[str, np.ndarray]] = {}
    for batch in batches(config, chosen, between=between, mesh=mesh):
      rows = tuple(
        parallel.place_rows(x, mesh)
        for x in (batch.image, batch.index, batch.valid)
      )
      index, valid, found = jax.device_get(measure(variables, other, rows))
      for row in np.flatnonzero(valid):
        of_image[int(index[row])] = {k: x[row] for k, x in found.items()}
    # In the order of the images: the same bits on any number of processes.
    ordered = [of_image[i] for i in range(len(chosen.image_paths))]
    inference.check_finite(np.array([x['entropy'] for x in ordered]))
    means = {
      name: np.mean([x[name] for x in ordered], 0, np.float64)
      for name in ordered[0]
    }
    return selection.summarize(means, class_pixels)

  return score


def _make_statistics(
  config: ml_collections.ConfigDict, network: types.Network, mesh: Mesh
) -> Callable[..., Any]:
  """Returns f(variables, other, rows) -> index, valid, statistics of rows."""
  logits = inference.make_logits(
    network, window=protocol.configured(config).window
  )

  # Every process gets all rows: the tables are small.
  @functools.partial(jax.jit, out_shardings=parallel.replicated(mesh))
  def measure(variables, other, rows):
    images, index, valid = rows
    predict = lambda variables: logits(variables, images, images.shape[1:3])
    found = selection.statistics(
      predict(variables),
      predict(other) if other is not None else None,
      threshold=config.label_free.threshold,
    )
    return index, valid, found

  return measure


def spread(data: manifest.Manifest, count: int) -> manifest.Manifest:
  """Returns the manifest of at most `count` images, evenly spaced."""
  size = len(data.image_paths)
  return manifest.take(
    data, np.linspace(0, size - 1, min(count, size)).astype(int)
  )
