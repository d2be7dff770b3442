"""Two laboratories: their dyes, their lamps and their microscopes.

Light that passes a stained slide falls off exponentially with the amount of dye
(Beer and Lambert), by a factor of its own in red, green and blue.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Lab(NamedTuple):
  """The dyes, lamp and lens of a laboratory's images.

  Attributes:
    dyes: [2, 3] absorption of red, green and blue by the dye of nuclei and by
      the dye of all else.
    nucleus: amounts of the two dyes in a nucleus.
    cytoplasm: amounts in the cytoplasm.
    red_cell: amounts in a red blood cell.
    slide: amounts between the cells.
    spread: of the amounts from slide to slide, and half of it from cell to
      cell.
    grain: of the dyes within a cell.
    lamp: [3] color of the light.
    uneven: loss of light towards the edge of the field.
    blur: sigma of the optics in pixels.
    noise: sigma of the sensor's noise.
  """

  dyes: np.ndarray
  nucleus: tuple[float, float]
  cytoplasm: tuple[float, float]
  red_cell: tuple[float, float]
  slide: tuple[float, float]
  spread: float
  grain: float
  lamp: np.ndarray
  uneven: float
  blur: float
  noise: float


LABS = {
  # Blue nuclei in pink cells, a white lamp.
  'pink': Lab(
    dyes=np.array([[0.95, 1.10, 0.45], [0.10, 0.75, 0.35]], np.float32),
    nucleus=(0.95, 0.45),
    cytoplasm=(0.10, 0.50),
    red_cell=(0.02, 1.10),
    slide=(0.01, 0.05),
    spread=0.15,
    grain=0.12,
    lamp=np.array([0.97, 0.96, 0.96], np.float32),
    uneven=0.05,
    blur=0.4,
    noise=0.012,
  ),
  # Violet nuclei in blue cells, a yellow lamp, an older lens.
  'violet': Lab(
    dyes=np.array([[0.55, 1.05, 0.30], [0.70, 0.45, 0.20]], np.float32),
    nucleus=(0.90, 0.40),
    cytoplasm=(0.06, 0.55),
    red_cell=(0.50, 0.12),
    slide=(0.02, 0.12),
    spread=0.25,
    grain=0.20,
    lamp=np.array([0.92, 0.88, 0.76], np.float32),
    uneven=0.25,
    blur=0.8,
    noise=0.02,
  ),
}
