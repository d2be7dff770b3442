"""Lines on a prepared data set, a page of its labels, and its problems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etils import epath
import numpy as np

from uda_jax import words
from uda_jax.data import decode

# Notes and errors that are printed.
_SHOWN = 20
# Images on the page of labels.
_PICTURES = 4


def lines(record: Any, data: Any) -> Iterator[str]:
  """Yields lines on a prepared data set.

  Args:
    record: of the data set in the config.
    data: its manifest.
  """
  sizes, counts = np.unique(
    np.stack([data.heights, data.widths], 1), axis=0, return_counts=True
  )
  order = np.argsort(-counts, kind='stable')
  shown = ', '.join(
    f'{counts[i]} of {sizes[i][0]} x {sizes[i][1]}' for i in order[:5]
  )
  more = f', {len(order) - 5} further sizes' if len(order) > 5 else ''
  channels = f' of {data.channels} channels' if data.channels != 3 else ''
  count = words.counted(len(data.image_paths), 'image')
  yield f'{count}{channels} (height x width): {shown}{more}'
  if data.labeled:
    yield from _class_table(data)
  else:
    yield 'without labels'
  yield from (f'note: {line}' for line in _notes(record, data))


def label_page(config: Any, part: str, data: Any) -> Any:
  """Draws a few labels over their images; returns the picture's path.

  A label map that gives ids to the wrong classes is seen at a glance, and
  nowhere in a count.

  Args:
    config: `data.cache_dir` is read.
    part: the name of the data set, for the file's.
    data: its manifest, with labels.
  """
  from uda_jax import galleries
  from uda_jax import pictures
  from uda_jax.data import transforms

  pairs = []
  for i in np.linspace(0, len(data.image_paths) - 1, _PICTURES).astype(int):
    path = transforms.path_tensor(data.image_paths[i])
    image = transforms.read_image(path, data.channels).numpy()
    image = pictures.rgb(image)
    label = np.asarray(decode.open_picture(data.label_paths[i]).image)
    pairs.append((image, label))
  page = galleries.labels_page(
    pairs, palette=data.palette, class_names=data.class_names
  )
  path = epath.Path(config.data.cache_dir).expanduser() / f'labels_{part}.png'
  pictures.write_png(path, page)
  return path


def _class_table(data: Any) -> Iterator[str]:
  """Yields a table of the pixels and images of each class."""
  total = data.class_pixels.sum(0)
  images = (data.class_pixels > 0).sum(0)
  yield f'{"class":<16}{"pixels":>9}{"images":>8}'
  for name, pixels, number in zip(data.class_names, total, images):
    yield f'{name:<16}{pixels / max(total.sum(), 1):9.3%}{number:8d}'


def _notes(record: Any, data: Any) -> Iterator[str]:
  """Yields differences from the published data set, and oddities."""
  published = record.get('published_images', 0)
  if published and published != len(data.image_paths):
    yield (
      f'{words.counted(len(data.image_paths), "image")}, {published} are '
      'published; is the download complete?'
    )
  absent = [
    data.class_names[c] for c in np.flatnonzero(data.class_pixels.sum(0) == 0)
  ]
  if data.labeled and absent:
    yield f'classes without a pixel: {", ".join(absent)}'
  yield from data.notes[:_SHOWN]
  if len(data.notes) > _SHOWN:
    yield f'and {len(data.notes) - _SHOWN} more such files'


def problems(config: Any, part: str, broken: Any) -> Iterator[str]:
  """Yields a line a kind of problem, and writes all of them to a file.

  Args:
    config: `data.cache_dir` is read.
    part: the name of the data set, for the file's.
    broken: `manifest.Broken` of its files.
  """
  path = epath.Path(config.data.cache_dir).expanduser() / f'errors_{part}.txt'
  every = map(decode.printable, broken.problems)
  path.write_bytes(('\n'.join(every) + '\n').encode())
  yield from (f'error: {problem}' for problem in broken.summary[:_SHOWN])
  yield (
    f'{len(broken.problems)} problem(s), all are listed in {path}; files '
    'without a problem are done and are not looked at again'
  )
