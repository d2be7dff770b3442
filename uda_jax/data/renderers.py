"""The kinds of rendered data sets; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from uda_jax.data.cells import record as cells_record
from uda_jax.data.cells import render as cells
from uda_jax.data.streets import record as streets_record
from uda_jax.data.streets import render as streets
from uda_jax.data.town import record as town_record
from uda_jax.data.town import render as town


class Renderer(NamedTuple):
  """A kind of rendered data set.

  Attributes:
    record: the type of its records.
    check: `check(record, field)` raises ValueError for wrong values.
    scene: `scene(record, number)` returns image [H, W, 3] and label [H, W],
      both uint8; ValueError for a record that cannot be rendered.
    class_names: what the labels mean.
    palette: a color for each class.
  """

  record: type
  check: Callable[[Any, str], None]
  scene: Callable[[Any, int], tuple[np.ndarray, np.ndarray]]
  class_names: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]


RENDERERS = {
  'streets': Renderer(
    streets_record.StreetsRecord,
    streets_record.check,
    streets.scene,
    streets.CLASSES,
    streets.PALETTE,
  ),
  'town': Renderer(
    town_record.TownRecord,
    town_record.check,
    town.scene,
    town.CLASSES,
    town.PALETTE,
  ),
  'cells': Renderer(
    cells_record.CellsRecord,
    cells_record.check,
    cells.scene,
    cells.CLASSES,
    cells.PALETTE,
  ),
}
