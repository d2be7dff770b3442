"""Shows what two folders hold: a table, lists of names, pictures."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import numpy as np

from uda_jax import files
from uda_jax import galleries
from uda_jax import pictures
from uda_jax.adapt import encoding as encoding_lib
from uda_jax.adapt import folder_contents
from uda_jax.adapt import label_values
from uda_jax.adapt import pairs as pairs_lib
from uda_jax.adapt import sizes
from uda_jax.data import folder_record
from uda_jax.data import image_files
from uda_jax.data import label_files
from uda_jax.data import label_ids

# Images whose labels are shown.
_PICTURES = 4
_KINDS = {
  'gray': 'gray ids',
  'palette': 'ids with a palette',
  'gray in RGB': 'gray ids in three equal channels',
  'colors': 'colors',
}


def table(found: folder_contents.Found) -> Iterator[str]:
  """Yields the lines of the table of what was found."""
  source, encoding = found.source, found.encoding
  rows = [
    ('source', len(source.images.files), sizes.text(found.source_sizes)),
    ('source labels', len(source.names), _kind(found)),
    ('target', len(found.target.files), sizes.text(found.target_sizes)),
  ]
  if found.scored:
    names = found.scored.names
    rows.append(('target labels', len(names), 'for scores alone'))
  for name, count, text in rows:
    yield f'  {name:<14}{count:7d}  {text}'
  yield from _not_used(found)
  yield ''
  yield f'  {"class":<24}{"in files":>10}{"pixels":>9}{"files":>7}'
  counts = found.labels.counts
  total = sum(counts.get(value, 0) for value in encoding.values)
  for name, value in zip(encoding.class_names, encoding.values):
    yield (
      f'  {name:<24}{label_values.text(value):>10}'
      f'{counts.get(value, 0) / total:9.2%}'
      f'{found.labels.images.get(value, 0):7d}'
    )


def _kind(found: folder_contents.Found) -> str:
  """Describes label files, and how many of them were looked at."""
  looked, kind = len(found.labels.files), _KINDS[found.encoding.kind]
  if looked == len(found.source.names):
    return kind
  return f'{kind}; {looked} looked at (--look)'


def _not_used(found: folder_contents.Found) -> Iterator[str]:
  """Yields a line on each kind of file that is passed over."""
  source = found.source
  for flag, side in (
    (folder_contents.SOURCE, source.images),
    (folder_contents.SOURCE_LABELS, source.labels),
    (folder_contents.TARGET, found.target),
  ):
    if side.passed_over:
      yield f'  {flag}: {side.passed_over}'
  for flag, side, lacks in (
    (folder_contents.SOURCE, source.images, 'images without a label'),
    (folder_contents.SOURCE_LABELS, source.labels, 'labels without an image'),
  ):
    alone = [name for name in side.files if name not in source.names]
    if alone:
      example = side.files[alone[0]].path.name
      yield f'  {flag}: {len(alone)} {lacks} not used, such as {example}'


def write(found: folder_contents.Found, folder: pathlib.Path) -> None:
  """Writes lists of names, and pictures of labels over their images."""
  lists = {'source.txt': found.train, 'held_out.txt': found.held_out}
  if found.scored:
    lists['scored.txt'] = found.scored.names
  for file, names in lists.items():
    text = ''.join(f'{name}\n' for name in names)
    content = text.encode('utf8', 'surrogateescape')
    files.write_atomically(folder / file, content)
  _draw(found, found.source, found.encoding, folder / 'source.png')
  if found.scored and found.target_encoding:
    path = folder / 'target_labels.png'
    _draw(found, found.scored, found.target_encoding, path)


def _draw(
  found: folder_contents.Found,
  pairs: pairs_lib.Pairs,
  encoding: encoding_lib.Encoding,
  path: pathlib.Path,
) -> None:
  shown = []
  for name in folder_contents.spread(pairs.names, _PICTURES):
    image_path, label_path = pairs.files(name)
    label = train_ids(label_path, encoding)
    shown.append((image_files.read_image(image_path), label))
  page = galleries.labels_page(
    shown, palette=found.palette, class_names=encoding.class_names
  )
  pictures.write_png(path, page)


def train_ids(
  path: pathlib.Path, encoding: encoding_lib.Encoding
) -> np.ndarray:
  """Reads a label file as `prepare` does: [H, W] uint8, 255 = ignored."""
  record = folder_record.FolderRecord(
    images='', class_names=encoding.class_names, **encoding.fields()
  )
  if record.label_colors:
    return label_ids.color_ids(label_files.read_colors(path), record, path=path)
  raw = label_files.read_label(path, channel=record.label_channel)
  return label_ids.train_ids(raw, record, path=path)
