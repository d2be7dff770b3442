"""Listing of the files of a folder record: pairs of image and label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import fnmatch
import functools
import os
import re

from absl import logging
from etils import epath

from uda_jax import labels as labels_lib
from uda_jax import words
from uda_jax.data import checks
from uda_jax.data import folder_labels
from uda_jax.data import folder_record
from uda_jax.data import folder_rows
from uda_jax.data import label_fraction
from uda_jax.data import listing
from uda_jax.data import manifest
from uda_jax.data import name_lists
from uda_jax.data import transforms

FolderRecord = folder_record.FolderRecord
# Label files may also be polygons of Cityscapes.
_LABEL_ENDINGS = (*listing.ENDINGS, '.json')


def recipe(
  record: FolderRecord,
  *,
  root: str,
  field: str,
  labels: bool,
  resize: transforms.Spec | None = None,
  channels: int = 3,
  part: label_fraction.Part | None = None,
) -> manifest.Recipe:
  """Lists the files of a folder and returns how to prepare them.

  Args:
    record: the data set.
    root: `config.data.root`.
    field: the config field that holds the record, for messages.
    labels: whether labels are wanted; if not, no label file is looked for.
    resize: the size of copies that are made of all images, None for none.
    channels: of every image.
    part: which of the images; None: all.

  Returns:
    The recipe; nothing is decoded before its rows are asked for.
  """
  folder_record.check(record, field)
  if not labels:
    record = record._replace(
      labels='', label_map=(), ignore_ids=(), label_colors=()
    )
  else:
    checks.need_labels(record, field)
  folder = _folder(record, root, field)
  sources = _sources(record, folder, field)
  if part is not None:
    sources = [sources[i] for i in part.rows(len(sources))]
    logging.info('%s: the labels of %d of them', field, len(sources))
  # Independent of the files that are there, or part of `folder`.
  record = record._replace(published_images=0, root='')
  size = resize and [resize.image_size, resize.keep_ratio, resize.resize]
  contents = [
    str(folder),
    record._asdict(),
    size,
    [source.stamps for source in sources],
    # Rows without them are those of earlier versions.
    'files, hashes of their sizes and bytes',
    *([channels] if channels != 3 else ()),
  ]
  return manifest.Recipe(
    record.name,
    record.class_names,
    record.palette or labels_lib.default_palette(len(record.class_names)),
    contents,
    functools.partial(
      folder_rows.rows, record, sources, field, resize, channels
    ),
    channels,
    functools.partial(
      folder_rows.share, record, sources, field, resize, channels
    ),
  )


def _folder(record: FolderRecord, root: str, field: str) -> epath.Path:
  """Returns the absolute root folder of a record."""
  folder = epath.Path(root).expanduser() / epath.Path(record.root).expanduser()
  if '://' not in str(folder):
    # The manifest outlives the directory that this was started in.
    folder = folder.absolute()
  patterns = [p for p in (record.images, record.labels) if p]
  if all(pattern.startswith(('/', '~')) for pattern in patterns):
    return folder
  if not (root or record.root) or not folder.is_dir():
    raise FileNotFoundError(
      f'{field}.root: expected a folder, found none at {folder}; set '
      'config.data.root, the folder of all data sets (and, where its own '
      f'folder has another name, {field}.root)'
    )
  return folder


def _sources(
  record: FolderRecord, folder: epath.Path, field: str
) -> list[folder_labels.Source]:
  """Pairs images and labels, and logs one line on every oddity."""
  images = listing.find(
    folder, record.images, f'{field}.images', listing.ENDINGS
  )
  labels = listing.Found({}, 0, 0, ())
  if record.labels:
    labels = listing.find(
      folder, record.labels, f'{field}.labels', _LABEL_ENDINGS
    )
  names = _choose(folder, record, images, field)
  logging.info(
    '%s: %s in %s', field, words.counted(len(names), 'image'), folder
  )
  for line in _oddities(record, images, labels):
    logging.warning('%s: %s', field, line)
  return [
    folder_labels.Source(
      name,
      images.files[name].path,
      labels.files[name].path if name in labels.files else None,
      [
        (str(file.path), file.size, file.changed)
        for found in (images, labels)
        if (file := found.files.get(name))
      ],
    )
    for name in names
  ]


def _oddities(
  record: FolderRecord, images: listing.Found, labels: listing.Found
) -> Iterator[str]:
  """Yields a line on each kind of file that is not used."""
  for kind, found in (('images', images), ('labels', labels)):
    skipped = listing.passed_over(found.hidden, found.empty)
    if skipped:
      yield f'{kind}: {skipped}'
  if images.others:
    yield (
      f'images: {len(images.others)} image file(s) of other endings are not '
      f'used, such as {images.others[0].name}; a pattern that ends with * '
      f'instead of {record.images!r} takes all endings'
    )
  folders = _not_entered(images, labels)
  if folders:
    yield (
      f'images: {len(folders)} folder(s) with images below those of '
      f'{record.images!r} are not entered, such as {folders[0]}; a further /* '
      'in the pattern does'
    )
  alone = [name for name in labels.files if name not in images.files]
  if alone:
    yield (
      f'labels: {len(alone)} label file(s) without an image, such as '
      f'{labels.files[alone[0]].path.name}'
    )


def _not_entered(images: listing.Found, labels: listing.Found) -> list[str]:
  """Returns folders beside images that hold images, too, sorted."""
  used = {
    os.path.dirname(str(file.path))
    for found in (images, labels)
    for file in found.files.values()
  }
  beside = []
  for folder in {os.path.dirname(str(x.path)) for x in images.files.values()}:
    # Not of a bucket, where each look takes a request.
    for inner in os.scandir(folder) if '://' not in folder else ():
      # Without a look at each of many files.
      may_be = inner.is_symlink() or inner.is_dir()
      if may_be and not inner.name.startswith('.') and os.path.isdir(inner):
        names = os.listdir(inner.path)
        if inner.path not in used and any(map(listing.is_image, names)):
          beside.append(inner.path)
  return sorted(beside)


def _choose(
  folder: epath.Path, record: FolderRecord, images: listing.Found, field: str
) -> list[str]:
  """Returns the NAMEs that `files` and `skip_last` leave, in order."""
  names = list(images.files)
  if isinstance(record.files, str) and record.files:
    names = name_lists.read(folder, record, images, field)
  elif record.files:
    names = _matching(names, record.files, field)
  names = names[: max(0, len(names) - record.skip_last)]
  if not names:
    is_tuple = not isinstance(record.files, str) and record.files
    hint = '; the path of a list is a text, not a tuple' if is_tuple else ''
    raise ValueError(
      f'{field}.files: no image left of {len(images.files)} after '
      f'files={record.files!r} and skip_last={record.skip_last}{hint}'
    )
  return names


def _matching(
  names: Sequence[str], patterns: Sequence[str], field: str
) -> list[str]:
  """Returns the NAMEs that match; ValueError for a pattern without any."""
  matches = {
    # A name stands for itself alone, whatever letters are in it.
    pattern: {pattern}
    if pattern in names
    else {n for n in names if fnmatch.fnmatchcase(n, pattern)}
    for pattern in patterns
  }
  for pattern in matches.keys() - set(names):
    _check_brackets(names, pattern, matches[pattern], field)
  chosen = set().union(*matches.values())
  idle = [pattern for pattern, found in matches.items() if not found]
  # Without any, the error is that no image is left.
  if chosen and idle:
    raise ValueError(
      f'{field}.files: expected patterns of names such as {names[0]!r}, got '
      f'{idle[0]!r}, which matches none of {len(names)}'
    )
  return [name for name in names if name in chosen]


def _check_brackets(
  names: Sequence[str], pattern: str, found: set[str], field: str
) -> None:
  """Raises ValueError if a pattern's ? or [ seems to stand for itself."""
  as_written = re.sub(r'[?\[]', r'[\g<0>]', pattern)
  missed = [
    n for n in names if n not in found and fnmatch.fnmatchcase(n, as_written)
  ]
  if missed:
    raise ValueError(
      f'{field}.files: expected [[] and [?] for the brackets and question '
      f'marks of names such as {missed[0]!r}, as [ and ? of such patterns '
      f'stand for other characters, got {pattern!r}'
    )
