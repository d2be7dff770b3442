"""Label maps from the polygon files of Cityscapes."""

from __future__ import annotations

import json

from etils import epath
import numpy as np
from PIL import Image
from PIL import ImageDraw

from uda_jax import labels
from uda_jax.data import decode

_IDS = {name: i for i, (name, _) in enumerate(labels.CITYSCAPES_LABELS)}
# Drawn by the annotators, but in no label map: its id is -1.
_NEVER_DRAWN = 'license plate'


def read(path: epath.Path) -> np.ndarray:
  """Draws the polygons of a file, later ones over earlier ones.

  As the official tool does: what nobody drew is 'unlabeled' (0), deleted
  objects are passed over, 'cargroup' is a 'car'. Pillow draws; its versions
  before 11.2, with which the official tool may run, put a few border pixels
  elsewhere.

  Args:
    path: a `*_gtFine_polygons.json`.

  Returns:
    [H, W] int32 label ids.
  """
  size, objects = _parse(path)
  image = Image.new('L', size, 0)
  draw = ImageDraw.Draw(image)
  for name, polygon in objects:
    if name not in _IDS and name.endswith('group'):
      name = name.removesuffix('group')
    if name == _NEVER_DRAWN:
      continue
    if name not in _IDS:
      raise ValueError(
        f'{path}: expected names of Cityscapes labels, got {name!r}'
      )
    if len(polygon) > 1:
      draw.polygon(polygon, fill=_IDS[name])
  return np.asarray(image, np.int32)


def _parse(
  path: epath.Path,
) -> tuple[tuple[int, int], list[tuple[str, list[tuple[float, ...]]]]]:
  """Returns (width, height), and name and points of each object."""
  try:
    content = json.loads(path.read_text())
    size = int(content['imgWidth']), int(content['imgHeight'])
    objects = [
      (str(o['label']), [tuple(map(float, p)) for p in o['polygon']])
      for o in content['objects']
      if not o.get('deleted')
    ]
    if (
      min(size) < 1 or not np.isfinite([p for _, o in objects for p in o]).all()
    ):
      raise ValueError('sizes or points that are none')
  except (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
  ) as error:
    raise ValueError(
      f'{path}: expected polygons as Cityscapes has them (imgWidth, '
      f'imgHeight, objects with label and polygon), got {error!r}'
    ) from error
  if size[0] * size[1] > decode.MOST_PIXELS:
    raise ValueError(
      f'{path}: expected at most {decode.MOST_PIXELS // 10**6} megapixels, got '
      f'imgWidth {size[0]} and imgHeight {size[1]}'
    )
  return size, objects
