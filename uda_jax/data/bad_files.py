"""Files that are damaged or gone during training: named, or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from absl import logging

from uda_jax.data import manifest as manifest_lib

# Values of config.data.on_error: end with an error, or leave the file out.
FAIL, SKIP = 'fail', 'skip'

_Batch = TypeVar('_Batch')
_Make = Callable[..., Iterator[_Batch]]


class BadFile(OSError):
  """A file that cannot be read any more, or has another size than before."""

  def __init__(self, path: str, message: str):
    """Keeps the path.

    Args:
      path: of the image or the label.
      message: what is wrong, and the way out.
    """
    super().__init__(message)
    self.path = path


def left_out(
  make: _Make[_Batch],
  first_step: int,
  sets: Sequence[manifest_lib.Manifest],
  note: Callable[[str], None] = logging.warning,
) -> Iterator[_Batch]:
  """Makes batches in which the next image stands in for one that is bad.

  What stands in depends on the files alone: it is the same on all processes
  and after a restart.

  Args:
    make: f(step, *sets) -> the batches from a step on.
    first_step: of the first batch.
    sets: the data sets that batches are read from.
    note: called with a line for each file that is left out.

  Returns:
    Iterator of the batches; OSError if no image is left.
  """
  batches = make(first_step, *sets)

  def going_on(batches, sets):
    step = first_step
    while True:
      try:
        for batch in batches:
          yield batch
          step += 1
        return
      except BadFile as error:
        note(
          f'step {step}: left out an image and its label '
          f'(config.data.on_error): {error}'
        )
        sets = [_without(data, error.path) for data in sets]
        batches = make(step, *sets)

  return going_on(batches, sets)


def _without(data: manifest_lib.Manifest, path: str) -> manifest_lib.Manifest:
  """Returns the data set with the next image in the place of a bad one.

  The counts of class pixels stay: the order in which images are drawn depends
  on all of them.
  """
  count = len(data.image_paths)
  pairs = zip(data.image_paths, data.label_paths, strict=True)
  bad = [path in pair for pair in pairs]
  rows = list(range(count))
  # The next image of the same set, of several.
  bounds = [(one.start, one.stop) for one in data.sets] or [(0, count)]
  for start, stop in bounds:
    if all(bad[start:stop]):
      raise OSError(
        f'{data.name}: no image is left that can be read; the last one: {path}'
      )
    for row in range(start, stop):
      while bad[rows[row]]:
        rows[row] = start + (rows[row] + 1 - start) % (stop - start)
  return data._replace(
    image_paths=tuple(data.image_paths[i] for i in rows),
    label_paths=tuple(data.label_paths[i] for i in rows),
    heights=data.heights[rows],
    widths=data.widths[rows],
  )
