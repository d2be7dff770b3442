"""The declarative record of a data set in a folder, and its validation."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from uda_jax import labels as labels_lib

_IGNORE = labels_lib.IGNORE_LABEL
# Of a class: of letters in one line, as tables and pictures show it.
_NAME = re.compile(r'(?=.*\S)[^\0-\x1f\x7f]+\Z')


class FolderRecord(NamedTuple):
  """A data set in a folder.

  Images and labels are paired by what the `*` of their patterns stand for:
  `images/*.jpg` and `labels/*.png` by file name without ending,
  `leftImg8bit/train/*/*_leftImg8bit.png` and
  `gtFine/train/*/*_gtFine_labelIds.png` by 'city/city_000000_000019'. This
  text is the NAME of an image. Only `*` is special in patterns; endings match
  in upper and lower case, .jpg also means .jpeg, and a pattern that ends with
  `*` takes image files of all endings.

  Attributes:
    images: pattern of the image files, relative to the root; `~` and absolute
      patterns work, too.
    labels: pattern of the label files, '' if there are none.
    root: folder, absolute or relative to `config.data.root`.
    name: what to call the data set.
    files: which images: () = all of them, sorted by NAME; a tuple of patterns
      of NAMEs, as of a shell (`*` also matches slashes); or a text file with
      one image per line, relative to the root, whose order counts, see
      `uda_jax.data.name_lists.read`.
    skip_last: how many images to leave out at the end.
    class_names: names of the train ids 0, 1, ...
    palette: one (red, green, blue) a class, () for a standard palette.
    label_map: rows (raw id, train id), 255 = ignore; () if the files hold
      train ids.
    ignore_ids: further raw ids to ignore.
    label_channel: which channel of color-like label files holds the raw ids
      (SYNTHIA: 0), -1 if label files have one channel.
    label_colors: rows ((red, green, blue), train id), 255 = ignore, if label
      files show classes in colors; `label_map` is () then, and `ignore_ids` and
      `label_channel` do not count.
    resize_labels: bring labels of another size to the size of their image by
      nearest neighbor, instead of refusing them; not those of another shape.
    value_range: (low, high), the values of images with more than 8 bits a
      sample that are shown black and white; (): 16-bit images that use their
      range are read, other such images are refused.
    published_images: number of images of the published data set, 0 = unknown;
      `uda_jax.data.prepare` notes a difference.
    published_size: (height, width) of the published images, likewise.
  """

  images: str
  class_names: tuple[str, ...]
  labels: str = ''
  root: str = ''
  name: str = 'folder'
  files: str | tuple[str, ...] = ()
  skip_last: int = 0
  palette: tuple[tuple[int, int, int], ...] = ()
  label_map: tuple[tuple[int, int], ...] = ()
  ignore_ids: tuple[int, ...] = (_IGNORE,)
  label_channel: int = -1
  label_colors: tuple[tuple[tuple[int, int, int], int], ...] = ()
  resize_labels: bool = False
  value_range: tuple[float, ...] = ()
  published_images: int = 0
  published_size: tuple[int, int] = (0, 0)


def check(record: FolderRecord, field: str) -> None:
  """Raises ValueError for a record that contradicts itself.

  Args:
    record: any values.
    field: the config field that holds the record, for messages.
  """
  _check_names(record.class_names, field)
  classes = len(record.class_names)
  if record.palette and len(record.palette) != classes:
    raise ValueError(
      f'{field}.palette: expected one color for each of the '
      f'{classes} classes, or (), got {len(record.palette)}'
    )
  for color in record.palette:
    if not _is_color(color):
      raise ValueError(
        f'{field}.palette: expected colors (red, green, blue) of whole numbers '
        f'0 to 255, got {color!r}'
      )
  _check_range(record.value_range, field)
  _check_files(record.files, field)
  _check_numbers(record, field)
  _check_rows(record.label_map, f'{field}.label_map', 'raw id', classes)
  _check_rows(
    record.label_colors, f'{field}.label_colors', '(red, green, blue)', classes
  )
  _check_contradictions(record, field)


def _is_color(value: Any) -> bool:
  return (
    isinstance(value, tuple | list)
    and len(value) == 3
    and all(isinstance(x, int) and 0 <= x <= 255 for x in value)
  )


def _check_range(value_range: Any, field: str) -> None:
  """Raises unless a range of values is () or two growing numbers."""
  if isinstance(value_range, tuple | list) and (
    not value_range
    or len(value_range) == 2
    and all(isinstance(x, int | float) for x in value_range)
    and -math.inf < value_range[0] < value_range[1] < math.inf
  ):
    return
  raise ValueError(
    f'{field}.value_range: expected (low, high) with low < high, or (), got '
    f'{value_range}'
  )


def _check_files(files: Any, field: str) -> None:
  """Raises unless `files` is a text or patterns."""
  if isinstance(files, str) or (
    isinstance(files, tuple | list) and all(isinstance(p, str) for p in files)
  ):
    return
  raise ValueError(
    f'{field}.files: expected the path of a list, or a tuple of patterns of '
    f'names, got {files!r}'
  )


def _check_contradictions(record: FolderRecord, field: str) -> None:
  """Raises if one field would silently overrule another."""
  if record.label_colors and record.label_map:
    raise ValueError(
      f'{field}.label_map: expected () with label_colors, as label files show '
      f'classes in colors or by ids, got {record.label_map}'
    )
  classes = record.label_map or enumerate(range(len(record.class_names)))
  both = [
    raw
    for raw, train_id in classes
    # A map that gives 255 a class overrules the default of `ignore_ids`.
    if raw != _IGNORE and train_id != _IGNORE and raw in record.ignore_ids
  ]
  if both and not record.label_colors:
    raise ValueError(
      f'{field}.ignore_ids: expected ids that are no class, got {both[0]}, '
      f'which {"label_map" if record.label_map else "class_names"} gives a '
      f'class; to ignore it, list the ids of all classes in {field}.label_map '
      f'and give {both[0]} the class {_IGNORE}'
    )


def _check_numbers(record: FolderRecord, field: str) -> None:
  """Raises for numbers of images, ids or channels that there cannot be."""
  if record.skip_last < 0:
    raise ValueError(
      f'{field}.skip_last: expected a number of images, 0 or more, got '
      f'{record.skip_last}'
    )
  if record.label_channel < -1:
    raise ValueError(
      f'{field}.label_channel: expected the number of a channel, from 0 on, or '
      f'-1, got {record.label_channel}'
    )
  ids = record.ignore_ids
  if not isinstance(ids, tuple | list) or not all(
    isinstance(x, int) for x in ids
  ):
    raise ValueError(
      f'{field}.ignore_ids: expected whole numbers such as (255,), got {ids!r}'
    )


def _check_names(names: Any, field: str) -> None:
  """Raises unless there are 2 to 254 different names."""
  if isinstance(names, str):
    raise ValueError(
      f'{field}.class_names: expected a tuple of names, got the text '
      f'{names!r}; a tuple of one name is ({names!r},)'
    )
  if not 1 < len(names) < _IGNORE:
    alone = (
      '; with one class every pixel is right: name what is not '
      f"{names[0]!r}, too, such as ('background', {names[0]!r})"
      if len(names) == 1
      else ''
    )
    if alone and ',' in str(names[0]):
      parts = [part.strip() for part in str(names[0]).strip('()[]').split(',')]
      alone = f'; write each name in quotes: {tuple(parts)}'
    raise ValueError(
      f'{field}.class_names: expected 2 to {_IGNORE - 1} names, got '
      f'{len(names)}{alone}'
    )
  twice = sorted({str(n) for n in names if tuple(names).count(n) > 1})
  if twice or not all(isinstance(n, str) and _NAME.match(n) for n in names):
    raise ValueError(
      f'{field}.class_names: expected different names of one line, got '
      + (f'{twice[0]!r} twice' if twice else f'{tuple(names)}')
    )


def _check_rows(rows: Any, field: str, kind: str, classes: int) -> None:
  """Raises unless rows pair different ids or colors with train ids."""

  def is_row(row: Any) -> bool:
    if not isinstance(row, tuple | list) or len(row) != 2:
      return False
    value = row[0]
    right = isinstance(value, int) if kind == 'raw id' else _is_color(value)
    return right and row[1] in (*range(classes), _IGNORE)

  wrong = [row for row in rows if not is_row(row)]
  if wrong:
    raise ValueError(
      f'{field}: expected rows ({kind}, train id) with train ids '
      f'0..{classes - 1} (class_names) or {_IGNORE}, got {wrong[0]}'
    )
  values = [row[0] for row in rows]
  twice = [value for value in values if values.count(value) > 1]
  if twice:
    raise ValueError(
      f'{field}: expected each {kind} once, got {twice[0]} in several rows'
    )
