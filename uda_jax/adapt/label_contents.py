"""Contents of label files: ids or colors, how often, and in how many files.

Reads by the functions that `prepare` reads with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
import concurrent.futures
import pathlib
from typing import Any, NamedTuple

from PIL import Image

from uda_jax import cores
from uda_jax.adapt import label_values
from uda_jax.data import label_files
from uda_jax.data import label_ids

# More values are no classes; nobody counts them all.
_MOST_VALUES = 4096

Value = label_values.Value


class File(NamedTuple):
  """Contents of a label file.

  Attributes:
    kind: 'gray', 'palette', 'gray in RGB' or 'colors'.
    size: (height, width).
    counts: value -> pixels; ids, or colors if the kind is 'colors'.
    colors: id -> color of a palette; {} without one.
  """

  kind: str
  size: tuple[int, int]
  counts: Mapping[Any, int]
  colors: Mapping[int, tuple[int, ...]]


class Labels(NamedTuple):
  """Contents of the label files of a folder.

  Attributes:
    kind: see `File`; all files have the same.
    files: what the files hold, by path.
    counts: value -> pixels of all files, most frequent first.
    images: value -> number of files.
    colors: id -> color of the palettes; {} if there are none, or they differ.
  """

  kind: str
  files: Mapping[pathlib.Path, File]
  counts: Mapping[Value, int]
  images: Mapping[Value, int]
  colors: Mapping[int, tuple[int, ...]]


def labels(paths: Sequence[pathlib.Path], flag: str) -> Labels:
  """Reads label files.

  Args:
    paths: one or more.
    flag: for messages.

  Raises:
    ValueError: in one line: a file that is no label, or files of several kinds.
  """
  files = dict(zip(paths, _read_all(paths, as_colors=False)))
  kinds: dict[str, pathlib.Path] = {}
  for path, file in files.items():
    kinds.setdefault(file.kind, path)
  if kinds.keys() == {'gray', 'palette'}:
    # Both hold ids.
    kinds = {'palette': kinds['palette']}
  if kinds.keys() == {'gray in RGB', 'colors'}:
    # A file of gray colors alone among others.
    kinds = {'colors': kinds['colors']}
    files = dict(zip(paths, _read_all(paths, as_colors=True)))
  if len(kinds) > 1:
    found = ', '.join(f'{path} ({kind})' for kind, path in kinds.items())
    raise ValueError(
      f'{flag}: expected label files of one kind, got {found}; convert them'
    )
  [kind] = kinds
  colors = _palette(files.values())
  if colors is None:
    # One id in several colors: the colors are what people see.
    kind, colors = 'colors', {}
    files = dict(zip(paths, _read_all(paths, as_colors=True)))
  return _summarized(kind, files, colors, flag)


def like(found: Labels, kind: str, flag: str) -> Labels:
  """Returns the same files as colors, if those of a kind may be.

  Gray colors alone, such as black where there is no object, look like ids.

  Args:
    found: contents of label files.
    kind: of the label files with the same classes.
    flag: for messages.
  """
  if kind != 'colors' or found.kind != 'gray in RGB':
    return found
  paths = [*found.files]
  files = dict(zip(paths, _read_all(paths, as_colors=True)))
  return _summarized('colors', files, {}, flag)


def _summarized(kind, files, colors, flag) -> Labels:
  counts: Counter = Counter()
  images: Counter = Counter()
  for path, file in files.items():
    counts.update(file.counts)
    images.update(file.counts.keys())
    if len(counts) > _MOST_VALUES:
      raise ValueError(
        f'{flag}: expected classes, got more than {_MOST_VALUES} different '
        f'{"colors" if kind == "colors" else "ids"} up to {path}; these are '
        'photographs, numbers of instances, or masks that were resized'
      )
  ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
  return Labels(kind, files, ordered, images, colors)


def _read_all(paths: Sequence[pathlib.Path], *, as_colors: bool) -> list[File]:
  # Pillow decodes outside the interpreter's lock.
  with concurrent.futures.ThreadPoolExecutor(cores.count()) as pool:
    return list(pool.map(lambda path: _read(path, as_colors), paths))


def _read(path: pathlib.Path, as_colors: bool) -> File:
  if as_colors or _mode(path) in ('RGB', 'RGBA'):
    pixels = label_files.read_colors(path)
    gray = bool((pixels == pixels[..., :1]).all())
    if gray and not as_colors:
      return File(
        'gray in RGB', pixels.shape[:2], label_ids.count_ids(pixels[..., 0]), {}
      )
    return File('colors', pixels.shape[:2], label_ids.count_colors(pixels), {})
  ids, palette = label_files.read_label_and_palette(path)
  counts = label_ids.count_ids(ids)
  colors = label_ids.used_colors(counts, palette)
  kind = 'gray' if palette is None else 'palette'
  return File(kind, ids.shape, counts, colors)


def _mode(path: pathlib.Path) -> str:
  """Returns Pillow's name of the kind of pixels, '' for no image."""
  try:
    with Image.open(path) as image:
      return image.mode if image.format not in ('JPEG', 'MPO') else ''
  # The reader that follows says what is wrong.
  except Exception:
    return ''


def _palette(files) -> dict[int, tuple[int, ...]] | None:
  """Returns id -> color; None if files show an id in different colors."""
  colors: dict[int, tuple[int, ...]] = {}
  for file in files:
    for value, color in file.colors.items():
      if colors.setdefault(value, color) != color:
        return None
  return colors


def check_palettes(source: Labels, other: Labels, flag: str) -> None:
  """Raises ValueError if palettes show classes in each other's colors.

  Palettes of other colors may be right: some programs write one of gray.

  Args:
    source: contents of label files.
    other: contents of label files with the same classes.
    flag: of the other ones, for messages.
  """
  found = label_ids.swapped(source.colors, other.colors)
  if found:
    color, value, swapped = found
    raise ValueError(
      f'{flag}: expected the palette of the source, where {color} is id '
      f'{value}, got it as id {swapped}; save the labels with the same ids, or '
      'as RGB images of these colors, both'
    )
