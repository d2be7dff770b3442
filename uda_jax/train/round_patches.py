"""The patches of a round of LSE: made by all processes, read by all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import time

import jax
import numpy as np

from uda_jax import parallel
from uda_jax import types
from uda_jax.data import manifest
from uda_jax.data import patches
from uda_jax.data import prepared
from uda_jax.train import round_mining
from uda_jax.train import setup

# Seconds that a network file system may take to show the files of others.
_VISIBLE = 60.0


def make(
  run: setup.Run,
  functions: round_mining.Functions,
  student: types.Variables,
  store: patches.Store,
  *,
  images: Sequence[int],
  limits: np.ndarray,
  key: jax.Array,
  between: Callable[[], None],
) -> None:
  """Makes the patches that are not there; each process those of its images.

  Args:
    run: a run in rounds.
    functions: those of the run.
    student: the network, as host arrays.
    store: where patches are kept, of as many images as `images` has.
    images: see `round_mining.cut`.
    limits: likewise.
    key: likewise.
    between: called after each image of a device, in all processes equally
      often.
  """
  missing = parallel.of_first(store.missing)
  if missing:
    for made in round_mining.cut(
      run, functions, student, images, limits, key, missing
    ):
      for place, of_image in made.items():
        store.write(place, of_image)
      # So that all act on a signal after the same image.
      parallel.barrier('patches of an image')
      between()
  until = time.monotonic() + _VISIBLE
  while store.missing() and time.monotonic() < until:
    time.sleep(0.5)
  read(store)


def read(store: patches.Store) -> manifest.Manifest:
  """Returns the patches of a round as a data set; all processes call this."""
  try:
    if jax.process_index() == 0:
      data = prepared.prepare(store.recipe(), store.folder)
    parallel.barrier('patches are prepared')
    if jax.process_index():
      data = prepared.prepare(store.recipe(), store.folder)
    return data
  except patches.Gone as error:
    raise ValueError(
      '--workdir: expected the patches of the round that this run is in, in '
      f'{store.folder}, got none; they cannot be made again as the network has '
      'trained on. Use a new --workdir'
    ) from error
