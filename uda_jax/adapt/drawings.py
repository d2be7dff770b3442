"""Pictures of what the networks of both runs predict, for the page."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from uda_jax import galleries
from uda_jax import pictures
from uda_jax.adapt import predictions
from uda_jax.data import datasets
from uda_jax.data import image_size
from uda_jax.evaluate import scoring
from uda_jax.runs import restore

_TARGET_IMAGES, _EVALUATION_IMAGES = 6, 4


def draw(workdirs: Sequence[pathlib.Path], labeled: Any = None) -> None:
  """Draws into `panels/` of the runs what `uda_jax.report` shows.

  Labeled images with truth and prediction for each run, and target
  images with the predictions of all runs for the last one. Each network is the
  one that its run reports.

  Args:
    workdirs: of the runs.
    labeled: manifest of labeled images; default: those of the evaluation.
  """
  runs = [restore.load(workdir) for workdir in workdirs]
  if labeled is None:
    labeled = datasets.load_part(runs[-1].config.data, 'evaluation')
  few = scoring.spread(labeled, _EVALUATION_IMAGES)
  for workdir, trained in zip(workdirs, runs):
    _draw_evaluation(trained, few, _page(workdir, trained, 'evaluation'))
  names = [workdir.name.replace('_', ' ') for workdir in workdirs]
  _draw_target(runs, names, _page(workdirs[-1], runs[-1], 'target'))


def _page(
  workdir: pathlib.Path, trained: restore.Trained, kind: str
) -> pathlib.Path:
  step = trained.config.steps if trained.step is None else trained.step
  return workdir / 'panels' / f'{kind}_{step:06d}.png'


def _draw_evaluation(
  trained: restore.Trained, few: Any, path: pathlib.Path
) -> None:
  """Draws a page like those of training, see `runs.writers`."""
  images = {name: pathlib.Path(name) for name in few.image_paths}
  truth = dict(zip(few.image_paths, few.label_paths))
  rows = []
  for name, pixels, label in _predicted(trained, images):
    with Image.open(truth[name]) as file:
      rows.append(
        (
          pixels,
          np.asarray(file).astype(np.int32),
          label,
          pictures.overlay(pixels, label, trained.palette),
        )
      )
  network = restore.reported(trained.config)
  titles = ('image', 'truth', f'prediction ({network})', 'prediction on image')
  _write(trained, rows, titles, path)


def _draw_target(
  runs: Sequence[restore.Trained], names: Sequence[str], path: pathlib.Path
) -> None:
  """Draws target images with the predictions of all runs side by side."""
  images = predictions.target_images(runs[-1].config, _TARGET_IMAGES)
  columns = [_predicted(trained, images) for trained in runs]
  rows = [
    (
      same[-1][1],
      *(label for _, _, label in same),
      pictures.overlay(same[-1][1], same[-1][2], runs[-1].palette),
    )
    for same in zip(*columns)
  ]
  titles = ('target image', *names, f'{names[-1]}, on image')
  _write(runs[-1], rows, titles, path)


def _predicted(trained: restore.Trained, images) -> list[tuple]:
  """Returns name, pixels and label of the images that can be read."""
  rule = image_size.seen(trained.config.data)
  found = predictions.predicted(trained, rule, images)
  return [row for row in found if row[-1] is not None]


def _write(trained: restore.Trained, rows, titles, path: pathlib.Path) -> None:
  page = galleries.gallery(
    rows,
    titles=titles,
    palette=trained.palette,
    class_names=trained.class_names,
  )
  pictures.write_png(path, page)
