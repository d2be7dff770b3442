"""Contact sheets: rendered scenes and their labels on one picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import pathlib

import numpy as np
from PIL import Image

from uda_jax import files


def rows(
  pairs: Iterable[tuple[np.ndarray, np.ndarray]],
  palette: Sequence[Sequence[int]],
) -> np.ndarray:
  """Returns a row of images above the row of their labels, [2 H, n W, 3].

  Args:
    pairs: n times image [H, W, 3] uint8 and label [H, W] uint8.
    palette: [C, 3] colors of the labels, 0..255.
  """
  colors = np.array(palette, np.uint8)
  columns = [np.concatenate([image, colors[label]]) for image, label in pairs]
  return np.concatenate(columns, 1)


def write(sheet: np.ndarray, path: pathlib.Path) -> None:
  """Writes [H, W, 3] uint8 as a PNG, whole or not at all."""
  with files.replacing(path) as unfinished:
    Image.fromarray(sheet).save(unfinished, optimize=True)
