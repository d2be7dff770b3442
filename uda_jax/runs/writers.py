"""Log lines, curves and pictures of a run; the only user of clu."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import pathlib
import time
from typing import Any

from absl import logging
import jax
import numpy as np

from uda_jax import duration
from uda_jax import galleries
from uda_jax import pictures
from uda_jax.runs import checksums
from uda_jax.runs import loggers as loggers_lib
from uda_jax.runs import progress


def _open_curves(folder: pathlib.Path, first_step: int) -> Any:
  """Opens the curves without the points after `first_step`."""
  # Imported here: it loads TensorFlow, which prediction does not need.
  from clu import metric_writers

  from uda_jax.runs import curves

  curves.drop_after(folder, first_step)
  return metric_writers.AsyncWriter(metric_writers.SummaryWriter(str(folder)))


class Writer:
  """Curves and pictures of one run, and its progress in the log.

  All processes make the same calls; the first one writes: curves and pictures
  for TensorBoard in `<workdir>/curves`, and PNGs `<workdir>/panels/step_000400`
  (a method's panels) and `evaluation_000400` (predictions).
  """

  def __init__(
    self,
    workdir: pathlib.Path | str,
    *,
    num_steps: int,
    images_per_step: int,
    every: int,
    first_step: int = 0,
    seconds: float = 5.0,
    palette: pictures.Palette = (),
    class_names: Sequence[str] = (),
    method: str = '',
    loggers: Sequence[loggers_lib.Logger] = (),
  ):
    """Opens the curves.

    Args:
      workdir: the run's directory.
      num_steps: the step with which the run ends.
      images_per_step: images per step, of both domains.
      every: steps between points of the curves.
      first_step: the step that the run resumes at; points of later steps are
        removed, as they are made again.
      seconds: minimum time between two progress lines.
      palette: colors of the classes.
      class_names: their names.
      method: full name of the method, a text beside the curves.
      loggers: get the same points and pages.
    """
    if every < 1:
      raise ValueError(
        f'config.log.every: expected a number of steps, 1 or more, got {every}'
      )
    self._workdir = pathlib.Path(workdir)
    self._num_steps = num_steps
    self._every = every
    self._seconds = seconds
    self._palette = palette
    self._class_names = class_names
    self._progress = progress.Progress(num_steps, images_per_step)
    self._last_line = -float('inf')
    self._curves = None
    self._loggers = loggers_lib.Loggers(loggers)
    if jax.process_index() == 0:
      with self._writing():
        self._curves = _open_curves(self._workdir / 'curves', first_step)
      if method:
        self._curves.write_texts(0, {'method': method})

  def __enter__(self) -> Writer:
    return self

  def __exit__(self, *_) -> None:
    self.close()

  def close(self) -> None:
    """Writes the points that are still queued."""
    if self._curves is not None:
      writer, self._curves = self._curves, None
      self._loggers.close()
      with self._writing():
        writer.close()

  def _writing(self) -> contextlib.AbstractContextManager[None]:
    """Turns errors of a full disk, which come a call late, into one line."""
    return checksums.writing(self._workdir, 'a curve or a picture')

  def until(self, num_steps: int) -> None:
    """Sets the step with which the run, or its round, ends."""
    self._num_steps = num_steps
    self._progress.until(num_steps)

  def step(self, step: int, metrics: Mapping[str, Any]) -> None:
    """Logs the metrics of a finished step, at the configured intervals.

    Args:
      step: steps done, this one included.
      metrics: scalars by name, still on the device.
    """
    last = step == self._num_steps
    if self._curves is None or not (last or step % self._every == 0):
      return
    values = {name: float(x) for name, x in jax.device_get(metrics).items()}
    with self._writing():
      self._curves.write_scalars(step, values)
    self._loggers.log_scalars(step, values)
    if last or time.monotonic() - self._last_line >= self._seconds:
      logging.info('%s', self._progress.line(step, values))
      self._last_line = time.monotonic()

  def panels(self, step: int, panels: Mapping[str, Any]) -> None:
    """Shows a method's panels, in TensorBoard and as a PNG.

    Args:
      step: steps done.
      panels: by name, in the order of the columns, arrays [B, ...] as
        `pictures.picture` takes them; {} shows nothing.
    """
    columns = [np.asarray(x) for x in panels.values()]
    columns = [pictures.rgb(x) if x.ndim == 4 else x for x in columns]
    self._show('panels', step, list(zip(*columns)), tuple(panels))

  def examples(
    self, step: int, examples: Sequence[Sequence[np.ndarray]], network: str
  ) -> None:
    """Shows images of the evaluation split with truth and prediction.

    Args:
      step: steps done.
      examples: rows (image [H, W, N] uint8, truth [h, w], prediction [h, w]).
      network: the name of the network that predicts.
    """
    rows = [
      (
        pictures.rgb(image),
        truth,
        prediction,
        pictures.overlay(pictures.rgb(image), prediction, self._palette),
      )
      for image, truth, prediction, *_ in examples
    ]
    titles = (
      'image',
      'truth',
      f'prediction ({network})',
      'prediction on image',
    )
    self._show('evaluation', step, rows, titles)

  def images(
    self, step: int, examples: Sequence[Sequence[np.ndarray]], name: str
  ) -> None:
    """Shows some images of the evaluation split with their confidence.

    Args:
      step: steps done.
      examples: rows (image [H, W, N] uint8, truth, prediction, confidence
        [h, w]).
      name: of the page.
    """
    rows = [(pictures.rgb(image), *maps) for image, *maps in examples]
    self._show(name, step, rows, ('image', 'truth', 'prediction', 'confidence'))

  def _show(self, name: str, step: int, rows, titles: Sequence[str]) -> None:
    """Draws one page, in TensorBoard and `<workdir>/panels/NAME_STEP.png`."""
    if self._curves is None or not rows:
      return
    page = galleries.gallery(
      rows,
      titles=[title.replace('_', ' ') for title in titles],
      palette=self._palette,
      class_names=self._class_names,
    )
    file = 'step' if name == 'panels' else name
    with self._writing():
      self._curves.write_images(step, {name: page[None]})
      pictures.write_png(
        self._workdir / 'panels' / f'{file}_{step:06d}.png', page
      )
    self._loggers.log_images(step, {name: page})

  def report(
    self, step: int, report: Mapping[str, Any], prefix: str = 'eval'
  ) -> None:
    """Adds an evaluation to the curves and the log.

    Args:
      step: steps done.
      report: of `reports.report`; classes without a score get no point.
      prefix: first part of the names of the curves.
    """
    if self._curves is None:
      return
    scores = {
      f'{prefix}/miou/{name}': score for name, score in report['miou'].items()
    }
    classes = {
      f'{prefix}/iou/{name}': score for name, score in report['iou'].items()
    }
    accuracy = {f'{prefix}/pixel_accuracy': report['pixel_accuracy']}
    label_free = {
      f'{prefix}/label_free/{name}': value
      for name, value in report.get('label_free', {}).items()
    }
    points = {
      name: score
      for name, score in (scores | classes | accuracy | label_free).items()
      if score is not None
    }
    with self._writing():
      self._curves.write_scalars(step, points)
      self._curves.flush()
    self._loggers.log_scalars(step, points)
    logging.info(
      'step %d: %s',
      step,
      ', '.join(
        f'{name} {100 * score:.2f}'
        for name, score in (scores | accuracy).items()
        if score is not None
      ),
    )
    if label_free:
      logging.info(
        'step %d, without labels: %s',
        step,
        ', '.join(f'{name} {value:.3f}' for name, value in label_free.items()),
      )

  def uncounted(self) -> contextlib.AbstractContextManager[None]:
    """Excludes the time spent inside from the speed."""
    return self._progress.paused()

  @contextlib.contextmanager
  def paused(self, what: str) -> Iterator[None]:
    """Excludes an evaluation or another break from the speed; logs its time."""
    start = time.monotonic()
    with self.uncounted():
      yield
    if self._curves is not None:
      logging.info('%s took %s', what, duration.text(time.monotonic() - start))
