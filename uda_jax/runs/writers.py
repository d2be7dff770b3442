"""Curves, pictures and progress of a run; the only user of clu."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import pathlib
import time
from typing import Any

from absl import logging
from clu import parameter_overview
import jax
from jax.sharding import Mesh
import numpy as np

from uda_jax import pictures
from uda_jax import types


def duration(seconds: float) -> str:
  """Returns such as 12s, 3m05s, 2h07m, 3d04h."""
  seconds = round(seconds)
  for large, small, size in (('d', 'h', 3600), ('h', 'm', 60), ('m', 's', 1)):
    base = 24 if large == 'd' else 60
    if seconds >= base * size:
      whole, part = divmod(seconds // size, base)
      return f'{whole}{large}{part:02d}{small}'
  return f'{seconds}s'


class Progress:
  """The speed of a run and the time it still needs.

  The clock starts with the first step that is reported, so that compiling does
  not count, and stands still while the run is `paused`.
  """

  def __init__(
    self, num_steps: int, images_per_step: int, *, clock=time.monotonic
  ):
    """Starts no clock yet.

    Args:
      num_steps: the step with which the run ends.
      images_per_step: how many images a step uses, both domains together.
      clock: seconds, for tests.
    """
    self._num_steps = num_steps
    self._images_per_step = images_per_step
    self._clock = clock
    self._mark: tuple[int, float] | None = None
    self._seconds_per_step: float | None = None

  def until(self, num_steps: int) -> None:
    """Sets the step with which the run, or its round, ends."""
    self._num_steps = num_steps

  def line(self, step: int, metrics: Mapping[str, float]) -> str:
    """Returns the line of a finished step.

    Args:
      step: steps done.
      metrics: values of it; `loss/total` and `learning_rate` are shown.
    """
    now = self._clock()
    if self._mark is not None and step > self._mark[0]:
      self._seconds_per_step = (now - self._mark[1]) / (step - self._mark[0])
    self._mark = step, now
    parts = [
      f'step {step}/{self._num_steps} ({100 * step // self._num_steps}%)'
    ]
    for name, key in (('loss', 'loss/total'), ('lr', 'learning_rate')):
      if key in metrics:
        parts.append(f'{name} {metrics[key]:.3g}')
    if self._seconds_per_step:
      left = (self._num_steps - step) * self._seconds_per_step
      parts += [
        f'{self._images_per_step / self._seconds_per_step:.1f} img/s',
        f'ETA {duration(left)}',
      ]
    return '  '.join(parts)

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Leaves the time that is spent inside out of the speed."""
    start = self._clock()
    yield
    if self._mark is not None:
      step, mark = self._mark
      self._mark = step, mark + self._clock() - start


class Writer:
  """Curves and pictures of one run, and its progress in the log.

  All processes make the same calls; the first one writes. Curves (TensorBoard)
  lie in `<workdir>/curves`, pictures in `<workdir>/panels/step_000400.png`.
  """

  def __init__(
    self,
    workdir: pathlib.Path | str,
    *,
    num_steps: int,
    images_per_step: int,
    every: int,
    seconds: float = 5.0,
    palette: pictures.Palette = (),
    class_names: Sequence[str] = (),
  ):
    """Opens the curves.

    Args:
      workdir: the run's directory.
      num_steps: the step with which the run ends.
      images_per_step: how many images a step uses, both domains together.
      every: steps between points of the curves.
      seconds: least time between two progress lines.
      palette: colours of the classes.
      class_names: their names.
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
    self._progress = Progress(num_steps, images_per_step)
    self._last_line = -float('inf')
    self._curves = None
    if jax.process_index() == 0:
      # TensorFlow comes with it, which prediction has no use for.
      from clu import metric_writers

      self._curves = metric_writers.AsyncWriter(
        metric_writers.SummaryWriter(str(self._workdir / 'curves'))
      )

  def __enter__(self) -> Writer:
    return self

  def __exit__(self, *_) -> None:
    self.close()

  def close(self) -> None:
    """Writes what is left."""
    if self._curves is not None:
      self._curves.close()
      self._curves = None

  def until(self, num_steps: int) -> None:
    """Sets the step with which the run, or its round, ends."""
    self._num_steps = num_steps
    self._progress.until(num_steps)

  def step(self, step: int, metrics: Mapping[str, Any]) -> None:
    """Takes the metrics of a finished step; reads them only when it is time.

    Args:
      step: steps done, this one included.
      metrics: scalars by name, still on the device.
    """
    last = step == self._num_steps
    if self._curves is None or not (last or step % self._every == 0):
      return
    values = {name: float(x) for name, x in jax.device_get(metrics).items()}
    self._curves.write_scalars(step, values)
    if last or time.monotonic() - self._last_line >= self._seconds:
      logging.info('%s', self._progress.line(step, values))
      self._last_line = time.monotonic()

  def panels(self, step: int, panels: Mapping[str, Any]) -> None:
    """Shows a method's panels, in TensorBoard and as a PNG.

    Args:
      step: steps done.
      panels: as `pictures.strips` takes them; {} shows nothing.
    """
    if self._curves is None or not panels:
      return
    panels = {name: np.asarray(x) for name, x in panels.items()}
    self._curves.write_images(
      step, {'panels': pictures.strips(panels, self._palette)}
    )
    pictures.gallery(
      self._workdir / 'panels' / f'step_{step:06d}.png',
      list(zip(*panels.values())),
      titles=tuple(panels),
      palette=self._palette,
      class_names=self._class_names,
    )

  def report(
    self, step: int, report: Mapping[str, Any], prefix: str = 'eval'
  ) -> None:
    """Adds an evaluation to the curves and the log.

    Args:
      step: steps done.
      report: of `reports.report`; classes without a score have no point.
      prefix: which evaluation this is.
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
    self._curves.write_scalars(
      step,
      {
        name: score
        for name, score in (scores | classes | accuracy | label_free).items()
        if score is not None
      },
    )
    self._curves.flush()
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

  @contextlib.contextmanager
  def paused(self, what: str) -> Iterator[None]:
    """Keeps an evaluation or another break out of the speed; logs its time."""
    start = time.monotonic()
    with self._progress.paused():
      yield
    if self._curves is not None:
      logging.info('%s took %s', what, duration(time.monotonic() - start))


def log_start(
  variables: types.Variables, mesh: Mesh, counts: Mapping[str, int]
) -> None:
  """Logs what a run starts with, on the first process.

  Args:
    variables: the network's variables.
    mesh: the devices.
    counts: images by data set.
  """
  if jax.process_index() != 0:
    return
  device = mesh.devices.flat[0]
  logging.info(
    'devices: %d x %s (%s), processes: %d',
    mesh.size,
    device.device_kind,
    device.platform,
    jax.process_count(),
  )
  logging.info(
    'images: %s', ', '.join(f'{name} {count}' for name, count in counts.items())
  )
  for line in parameter_table(variables.params).splitlines():
    logging.info('%s', line)


def parameter_table(params: types.PyTree) -> str:
  """Returns a short table: a line a top-level module, and the sum."""
  count = parameter_overview.count_parameters
  rows = [
    (name, count(part if isinstance(part, Mapping) else {name: part}))
    for name, part in params.items()
  ]
  rows.append(('all parameters', sum(number for _, number in rows)))
  width = max(len(name) for name, _ in rows)
  return '\n'.join(f'{name:<{width}}  {number:>13,}' for name, number in rows)
