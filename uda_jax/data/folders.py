"""Any folder of images, described by one declarative record."""

from __future__ import annotations

import fnmatch
import functools
import re
from typing import NamedTuple

from absl import logging
from etils import epath

from uda_jax import labels as labels_lib
from uda_jax.data import folder_checks
from uda_jax.data import manifest
from uda_jax.data import transforms

_IGNORE = labels_lib.IGNORE_LABEL


class FolderRecord(NamedTuple):
  """A data set in a folder.

  Images and labels are paired by what the `*` of their patterns stand for:
  `images/*.jpg` and `labels/*.png` by file name without ending,
  `leftImg8bit/train/*/*_leftImg8bit.png` and
  `gtFine/train/*/*_gtFine_labelIds.png` by 'city/city_000000_000019'. This
  text is the NAME of an image.

  Attributes:
    images: pattern of the image files, relative to the root.
    labels: pattern of the label files, '' if there are none.
    root: folder, absolute or relative to `config.data.root`.
    name: what to call the data set.
    files: which images: () = all of them, sorted by NAME; a tuple of patterns
      of NAMEs; or a text file with one NAME a line, relative to the root, whose
      order counts.
    skip_last: leave out so many images at the end.
    class_names: names of the train ids 0, 1, ...
    palette: one (red, green, blue) a class, () for a standard palette.
    label_map: rows (raw id, train id), 255 = ignore; () if the files hold
      train ids.
    ignore_ids: further raw ids to ignore.
    label_channel: which channel of colour-like label files holds the raw ids
      (SYNTHIA: 0), -1 if label files have one channel.
    label_colors: rows ((red, green, blue), train id), 255 = ignore, if label
      files show classes in colours; the three fields above do not count then.
    resize_labels: bring labels of another size to the size of their image by
      nearest neighbour, instead of refusing them.
    published_images: how many images the published data set has, 0 = unknown.
      `uda_jax.data.prepare` tells if there are others, and likewise
    published_size: (height, width) of them.
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
  published_images: int = 0
  published_size: tuple[int, int] = (0, 0)


def recipe(
  record: FolderRecord,
  *,
  root: str,
  field: str,
  labels: bool,
  resize: transforms.Spec | None = None,
) -> manifest.Recipe:
  """Lists the files of a folder, and says how to prepare it.

  Args:
    record: the data set.
    root: `config.data.root`.
    field: the config field that holds the record, for messages.
    labels: whether labels are wanted; if not, no label file is looked for.
    resize: the size of copies that are made of all images, None for none.

  Returns:
    The recipe; nothing is decoded before its rows are asked for.
  """
  _check_record(record, field)
  if not labels:
    record = record._replace(
      labels='', label_map=(), ignore_ids=(), label_colors=()
    )
  elif not record.labels:
    raise ValueError(
      f'{field}.labels: expected the pattern of the label files '
      "(labels are needed here), got ''"
    )
  folder = epath.Path(root).expanduser() / record.root
  if '://' not in str(folder):
    # The manifest outlives the directory that this was started in.
    folder = folder.absolute()
  if not (root or record.root) or not folder.is_dir():
    raise FileNotFoundError(
      f'{field}.root: expected a folder, found none at {folder}; set '
      f'config.data.root and {field}.root'
    )
  images = _find(folder, record.images, f'{field}.images')
  names = _choose(folder, record, images, field)
  found = (
    _find(folder, record.labels, f'{field}.labels') if record.labels else {}
  )
  logging.info('%s: %d images in %s', field, len(names), folder)
  sources = [
    folder_checks.Source(
      name,
      images[name],
      found.get(name),
      _stamps(folder, images[name], found.get(name)),
    )
    for name in names
  ]
  # No matter of the files that are there, or told by `folder`.
  record = record._replace(published_images=0, root='')
  size = resize and [resize.image_size, resize.keep_ratio, resize.resize]
  contents = [
    str(folder),
    record._asdict(),
    size,
    [source.stamps for source in sources],
  ]
  return manifest.Recipe(
    record.name,
    record.class_names,
    record.palette or _palette(len(record.class_names)),
    contents,
    functools.partial(folder_checks.rows, record, sources, field, resize),
  )


def _check_record(record: FolderRecord, field: str) -> None:
  """Raises for a record that contradicts itself."""
  classes = len(record.class_names)
  if not 0 < classes < _IGNORE:
    raise ValueError(
      f'{field}.class_names: expected 1 to {_IGNORE - 1} names, got {classes}'
    )
  if record.palette and len(record.palette) != classes:
    raise ValueError(
      f'{field}.palette: expected one colour for each of the '
      f'{classes} classes, or (), got {len(record.palette)}'
    )
  for name, row in (
    ('label_map', 'raw id'),
    ('label_colors', '(red, green, blue)'),
  ):
    wrong = [
      row
      for row in getattr(record, name)
      if len(row) != 2 or row[1] not in (*range(classes), _IGNORE)
    ]
    if wrong:
      raise ValueError(
        f'{field}.{name}: expected rows ({row}, train id) with train ids '
        f'0..{classes - 1} ({field}.class_names) or {_IGNORE}, got '
        f'{wrong[0]}'
      )


def _palette(classes: int) -> tuple[tuple[int, int, int], ...]:
  """Returns distinct colours: the bits of the class id, spread (PASCAL VOC)."""
  colours = []
  for index in range(1, classes + 1):
    bits = [
      [index >> (3 * place + channel) & 1 for place in range(3)]
      for channel in range(3)
    ]
    colours.append(
      tuple(
        sum(bit << (7 - place) for place, bit in enumerate(b)) for b in bits
      )
    )
  return tuple(colours)


def _find(
  folder: epath.Path, pattern: str, field: str
) -> dict[str, epath.Path]:
  """Returns the files that match a pattern, by NAME, sorted."""
  if '*' not in pattern.split('/')[-1] or '**' in pattern:
    raise ValueError(
      f'{field}: expected a pattern with * in its last part '
      f"(and no **), such as 'images/*.png', got {pattern!r}"
    )
  parts = [re.escape(part) for part in pattern.split('*')]
  matcher = re.compile('([^/]*)'.join(parts))
  found = {}
  for path in folder.glob(pattern):
    relative = path.relative_to(folder).as_posix()
    found['/'.join(matcher.fullmatch(relative).groups())] = path
  if not found:
    raise FileNotFoundError(
      f'{field}: found no file {pattern!r} in {folder}; check the pattern '
      'and the root'
    )
  return dict(sorted(found.items()))


def _choose(
  folder: epath.Path,
  record: FolderRecord,
  images: dict[str, epath.Path],
  field: str,
) -> list[str]:
  """Returns the NAMEs that `files` and `skip_last` leave, in order."""
  names = list(images)
  if isinstance(record.files, str) and record.files:
    path = folder / record.files
    if not path.is_file():
      raise FileNotFoundError(f'{field}.files: found no file {path}')
    lines = path.read_text().splitlines()
    names = [line.strip() for line in lines if line.strip()]
    missing = [name for name in names if name not in images]
    if missing or len(set(names)) < len(names):
      problem = (
        f'{missing[0]!r}, which is no image {record.images!r}; names '
        f'look like {next(iter(images))!r}'
        if missing
        else 'the same name twice'
      )
      raise ValueError(
        f'{field}.files: expected names of images in {path}, got {problem}'
      )
  elif record.files:
    names = [
      name
      for name in names
      if any(fnmatch.fnmatchcase(name, p) for p in record.files)
    ]
  names = names[: max(0, len(names) - record.skip_last)]
  if not names:
    raise ValueError(
      f'{field}.files: no image left of {len(images)} after '
      f'files={record.files!r} and skip_last={record.skip_last}'
    )
  return names


def _stamps(
  folder: epath.Path, *paths: epath.Path | None
) -> list[tuple[str, int, float]]:
  """What changes when one of the files does."""
  stats = [(path, path.stat()) for path in paths if path]
  return [
    (str(path.relative_to(folder)), stat.length, stat.mtime)
    for path, stat in stats
  ]
