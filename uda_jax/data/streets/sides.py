"""Sides of boxes along the street, as the camera sees them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from uda_jax.data.streets import scene


class Side(NamedTuple):
  """The side face of a box that stands along the street.

  Attributes:
    region: rows and columns of the image that it lies in.
    depth: [w] meters to it in each column.
    along: [w] meters from its near end, over its length.
    y: [h, w] meters above the ground.
  """

  region: tuple[slice, slice]
  depth: np.ndarray
  along: np.ndarray
  y: np.ndarray


def side_face(
  canvas: scene.Canvas,
  camera: scene.Camera,
  x: float,
  z: float,
  *,
  wide: float,
  long: float,
  least: float,
) -> Side | None:
  """Returns the side that the camera sees of a box, None if it sees none.

  Args:
    canvas: the scene.
    camera: the camera.
    x: of the middle of the box, meters to the right.
    z: of its near end.
    wide: half its width.
    long: its length.
    least: the side is not seen nearer to the camera's plane than this.
  """
  edge = x - wide if x > 0 else x + wide  # the side towards the middle
  if abs(edge) < least or edge * x < 0:
    return None
  ends = (camera.column + camera.focal * edge / d for d in (z, z + long))
  first, last = sorted(int(round(end)) for end in ends)
  first, last = max(first, 0), min(last, canvas.label.shape[1])
  if first >= last:
    return None
  columns = np.arange(first, last) + 0.5 - camera.column
  depth = camera.focal * edge / np.where(columns == 0, 1e-3, columns)
  low = int(camera.row + camera.focal * camera.height / z) + 2
  rows = np.arange(min(low, canvas.label.shape[0]))[:, None] + 0.5
  y = camera.height - (rows - camera.row) * depth / camera.focal
  region = np.s_[: len(rows), first:last]
  return Side(region, depth, (depth - z) / long, y)
