"""Pages of pictures, with titles and a legend of the classes; of Pillow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from uda_jax import pictures

if TYPE_CHECKING:
  from PIL import Image

_GAP = 8
_FONT_SIZE = 16
_LINE = _FONT_SIZE + 8
# Colors of a page, besides those of the classes.
_PAGE_COLORS = 96
_PAPER, _INK = (255, 255, 255), (20, 20, 20)


def gallery(
  rows: Sequence[Sequence[np.ndarray]],
  *,
  titles: Sequence[str],
  palette: pictures.Palette,
  class_names: Sequence[str] = (),
  width: int = 320,
) -> np.ndarray:
  """Draws a page: a row per image, column titles and a class legend.

  Args:
    rows: pictures of one image each, as `pictures.picture` takes them without
      batch axis; sizes may differ.
    titles: one per column, such as image, truth, source-only, adapted.
    palette: one RGB triple per class.
    class_names: for the legend, which also explains black; () for no legend.
    width: of a column, pixels; pictures are scaled to it.

  Returns:
    [H, W, 3] uint8.

  Raises:
    ValueError: a row has not one picture per title.
  """
  from PIL import Image
  from PIL import ImageDraw
  from PIL import ImageFont

  for row in rows:
    if len(row) != len(titles):
      raise ValueError(
        f'rows: expected {len(titles)} pictures per row '
        f'({", ".join(titles)}), got {len(row)}'
      )
  cells = [[_fit(array, palette, width) for array in row] for row in rows]
  heights = [max(cell.height for cell in row) for row in cells]
  font = ImageFont.load_default(_FONT_SIZE)
  full_width = _GAP + len(titles) * (width + _GAP)
  entries = _legend(class_names, palette, full_width, font)
  top = _GAP + _LINE
  legend_top = top + sum(heights) + _GAP * len(heights)
  page = Image.new(
    'RGB', (full_width, legend_top + _legend_height(entries)), _PAPER
  )
  draw = ImageDraw.Draw(page)
  for column, title in enumerate(titles):
    draw.text((_GAP + column * (width + _GAP), _GAP), title, _INK, font)
  for row, height in zip(cells, heights):
    for column, cell in enumerate(row):
      page.paste(cell, (_GAP + column * (width + _GAP), top))
    top += height + _GAP
  _draw_legend(draw, entries, legend_top, font)
  return np.asarray(page)


def labels_page(
  pairs: Iterable[tuple[np.ndarray, np.ndarray]],
  *,
  palette: pictures.Palette,
  class_names: Sequence[str],
) -> np.ndarray:
  """Draws a page to look labels over: image, label, label on image.

  Args:
    pairs: image [H, W, 3] uint8 and label [H, W] uint8 train ids.
    palette: one RGB triple per class.
    class_names: for the legend.

  Returns:
    [H, W, 3] uint8.
  """
  return gallery(
    [
      (image, label, pictures.overlay(image, label, palette))
      for image, label in pairs
    ],
    titles=('image', 'label', 'label on image'),
    palette=palette,
    class_names=class_names,
  )


def gallery_columns(
  page: np.ndarray,
  count: int,
  *,
  palette: pictures.Palette,
  class_names: Sequence[str] = (),
  width: int = 320,
) -> list[np.ndarray]:
  """Cuts the columns of pictures out of a page that `gallery` drew.

  Args:
    page: [H, W, 3] uint8.
    count: its columns.
    palette: as for `gallery`.
    class_names: as for `gallery`.
    width: as for `gallery`.

  Returns:
    For each column its pictures one below the other, [h, width, 3] uint8,
    without title and legend.

  Raises:
    ValueError: the page has another width than such a gallery.
  """
  from PIL import ImageFont

  full_width = _GAP + count * (width + _GAP)
  if page.shape[1] != full_width:
    raise ValueError(
      f'page: expected {count} columns, {full_width} pixels wide, got '
      f'{page.shape[1]} pixels'
    )
  font = ImageFont.load_default(_FONT_SIZE)
  entries = _legend(class_names, palette, full_width, font)
  bottom = len(page) - _legend_height(entries) - _GAP
  lefts = [_GAP + i * (width + _GAP) for i in range(count)]
  return [page[_GAP + _LINE : bottom, x : x + width] for x in lefts]


def legend(
  class_names: Sequence[str], palette: pictures.Palette, *, width: int = 640
) -> np.ndarray:
  """Draws the classes with their colors, as [H, width, 3] uint8."""
  from PIL import Image
  from PIL import ImageDraw
  from PIL import ImageFont

  font = ImageFont.load_default(_FONT_SIZE)
  entries = _legend(class_names, palette, width, font)
  page = Image.new('RGB', (width, _GAP + _legend_height(entries)), _PAPER)
  _draw_legend(ImageDraw.Draw(page), entries, _GAP, font)
  return np.asarray(page)


def page(
  panels: Mapping[str, np.ndarray],
  palette: pictures.Palette,
  *,
  columns: int = 4,
  width: int = 200,
) -> Image.Image:
  """Draws pictures under their names on a page for a notebook.

  Args:
    panels: by name, pictures as `pictures.picture` takes them without batch
      axis; sizes may differ.
    palette: one RGB triple per class.
    columns: pictures side by side.
    width: of a picture, pixels; all are scaled to it.

  Returns:
    A Pillow image of few colors.
  """
  from PIL import Image
  from PIL import ImageDraw
  from PIL import ImageFont

  cells = [
    (name, _fit(array, palette, width)) for name, array in panels.items()
  ]
  rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
  heights = [max(cell.height for _, cell in row) for row in rows]
  sheet = Image.new(
    'RGB',
    (
      min(columns, len(cells)) * (width + _GAP) - _GAP,
      sum(heights) + len(rows) * _LINE,
    ),
    _PAPER,
  )
  draw = ImageDraw.Draw(sheet)
  font = ImageFont.load_default(_FONT_SIZE - 3)
  top = 0
  for row, height in zip(rows, heights):
    for column, (name, cell) in enumerate(row):
      left = column * (width + _GAP)
      draw.text((left, top + 4), name, _INK, font)
      sheet.paste(cell, (left, top + _LINE))
    top += _LINE + height
  return _few_colors(sheet, [*palette, _PAPER, _INK])


def _few_colors(
  sheet: Image.Image, exact: list[tuple[int, int, int]]
) -> Image.Image:
  """Returns a page in few colors, for a small file; some stay as they are."""
  from PIL import Image

  few = sheet.quantize(_PAGE_COLORS, kmeans=2)
  index = np.asarray(few) + np.uint8(len(exact))
  for number, color in enumerate(exact):
    index[(np.asarray(sheet) == color).all(-1)] = number
  small = Image.fromarray(index)
  rest = few.getpalette()
  assert rest is not None  # quantize makes one
  small.putpalette([*np.ravel(exact).tolist(), *rest[: 3 * _PAGE_COLORS]])
  return small


def _fit(array, palette, width):
  """Scales a picture to the column; label maps keep their colors."""
  from PIL import Image

  array = np.asarray(array)
  pixels = pictures.picture(array, palette)
  smooth = array.shape[-1] == 3 and array.ndim == 3
  height = max(1, round(width * pixels.shape[0] / pixels.shape[1]))
  return Image.fromarray(pixels).resize(
    (width, height),
    Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST,
  )


def _legend(class_names, palette, full_width, font):
  """Returns the entries of the legend: rows (x, line, color, name)."""
  if not class_names:
    return []
  places, x, line = [], _GAP, 0
  for name, color in [*zip(class_names, palette), ('ignored', (0, 0, 0))]:
    step = _FONT_SIZE + 6 + int(font.getlength(name)) + 2 * _GAP
    if x + step > full_width and x > _GAP:
      x, line = _GAP, line + 1
    places.append((x, line, tuple(color), name))
    x += step
  return places


def _draw_legend(draw, entries, top, font) -> None:
  for x, line, color, name in entries:
    y = top + line * _LINE
    draw.rectangle((x, y, x + _FONT_SIZE, y + _FONT_SIZE), color, _INK)
    draw.text((x + _FONT_SIZE + 6, y - 2), name, _INK, font)


def _legend_height(entries) -> int:
  return (entries[-1][1] + 1) * _LINE + _GAP if entries else 0
