"""Contents of two folders: pairs of files, classes, sizes."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from uda_jax import labels as labels_lib
from uda_jax import pictures
from uda_jax.adapt import class_files
from uda_jax.adapt import encoding as encoding_lib
from uda_jax.adapt import label_contents
from uda_jax.adapt import pairs as pairs_lib
from uda_jax.adapt import sizes

SOURCE, SOURCE_LABELS = '--source', '--source_labels'
TARGET, TARGET_LABELS, TEST = '--target', '--target_labels', '--test'
# Images of the source that are not trained on: a tenth, at most so many.
_MOST_HELD_OUT = 50
# Two to train on, and one to score.
_LEAST_PAIRS = 3


class Found(NamedTuple):
  """Contents of the folders.

  Attributes:
    source: images and labels.
    target: images.
    scored: labeled target images, None without any.
    train: names of the source's images to train on.
    held_out: names of those to score on.
    labels: what the source's label files hold.
    encoding: of the source's label files.
    target_encoding: of the target's, None without any.
    resize: whether the source's labels are brought to the size of their image.
    resize_target: likewise of target labels.
    source_sizes: (height, width) -> number of images.
    target_sizes: likewise.
  """

  source: pairs_lib.Pairs
  target: pairs_lib.Side
  scored: pairs_lib.Pairs | None
  train: tuple[str, ...]
  held_out: tuple[str, ...]
  labels: label_contents.Labels
  encoding: encoding_lib.Encoding
  target_encoding: encoding_lib.Encoding | None
  resize: bool
  resize_target: bool
  source_sizes: Counter
  target_sizes: Counter

  @property
  def palette(self) -> pictures.Palette:
    """The colors of the classes in pictures."""
    names = self.encoding.class_names
    return self.encoding.palette or labels_lib.default_palette(len(names))


def look_at(args: argparse.Namespace) -> Found:
  """Looks at the folders of the arguments of `uda_jax.adapt`.

  Raises:
    OSError, ValueError: in one line: what cannot be used, and the way out.
  """
  source = pairs_lib.pair(
    pairs_lib.find(args.source, SOURCE),
    pairs_lib.find(args.source_labels, SOURCE_LABELS),
    (SOURCE, SOURCE_LABELS),
  )
  target = pairs_lib.find(args.target, TARGET)
  scored = _scored(args, target)
  _check(source, target)
  _check_names([*source.names, *(scored.names if scored else ())])
  count = min(_MOST_HELD_OUT, max(1, len(source.names) // 10))
  entries, class_file = _entries(args, source)
  labels = _labels(source, args.look, SOURCE_LABELS)
  encoding = encoding_lib.decide(
    labels,
    SOURCE_LABELS,
    entries=entries,
    class_file=class_file,
    ignore=args.ignore,
  )
  target_labels = target_encoding = None
  if scored:
    target_labels = label_contents.like(
      _labels(scored, args.look, TARGET_LABELS), encoding.kind, TARGET_LABELS
    )
    label_contents.check_palettes(labels, target_labels, TARGET_LABELS)
    target_encoding = encoding_lib.of_target(
      target_labels,
      encoding,
      TARGET_LABELS,
      entries=entries,
      class_file=class_file,
    )
  return Found(
    source=source,
    target=target,
    scored=scored,
    train=source.names[:-count],
    held_out=source.names[-count:],
    labels=labels,
    encoding=encoding,
    target_encoding=target_encoding,
    resize=_labels_differ(source, labels),
    resize_target=bool(
      scored and target_labels and _labels_differ(scored, target_labels)
    ),
    source_sizes=sizes.read(source.files(name)[0] for name in source.names),
    target_sizes=sizes.read(file.path for file in target.files.values()),
  )


def _check(source: pairs_lib.Pairs, target: pairs_lib.Side) -> None:
  """Raises for folders that are the same, or hold too little."""
  paths = lambda side: {str(file.path) for file in side.files.values()}
  if paths(target) <= paths(source.images):
    raise ValueError(
      f'{TARGET}: expected other images than {SOURCE}, got {target.folder} for '
      'both'
    )
  if len(source.names) < _LEAST_PAIRS:
    raise ValueError(
      f'{SOURCE}: expected {_LEAST_PAIRS} labeled images or more, got '
      f'{len(source.names)}'
    )


def _scored(
  args: argparse.Namespace, target: pairs_lib.Side
) -> pairs_lib.Pairs | None:
  if not args.target_labels:
    if args.test:
      raise ValueError(f'{TEST}: expected {TARGET_LABELS} with it, got none')
    return None
  images = pairs_lib.find(args.test, TEST) if args.test else target
  labels = pairs_lib.find(args.target_labels, TARGET_LABELS)
  flags = (TEST if args.test else TARGET, TARGET_LABELS)
  return pairs_lib.pair(images, labels, flags)


def _check_names(names: Sequence[str]) -> None:
  """Raises for names that a list of names cannot hold."""
  wrong = [name for name in names if name != name.strip() or '\n' in name]
  if wrong:
    raise ValueError(
      f'{wrong[0]!r}: expected a file name without spaces at its ends and '
      'without line breaks; rename it'
    )


def _entries(
  args: argparse.Namespace, source: pairs_lib.Pairs
) -> tuple[tuple[class_files.Entry, ...], str]:
  """Returns the classes that a file names, and its path."""
  folder = source.labels.folder
  path = args.classes or class_files.find(
    [folder, source.images.folder, folder.parent]
  )
  if path is None:
    return (), ''
  if not path.is_file():
    raise FileNotFoundError(f'--classes: expected a file, found none at {path}')
  return class_files.read(path), str(path)


def _labels(
  pairs: pairs_lib.Pairs, most: int, flag: str
) -> label_contents.Labels:
  """Looks at label files, evenly spaced; at all of them if `most` is 0."""
  names = spread(pairs.names, most or len(pairs.names))
  return label_contents.labels([pairs.files(name)[1] for name in names], flag)


def spread(items: Sequence[str], most: int) -> list[str]:
  """Returns `most` items, evenly spaced, or all if there are fewer."""
  places = np.linspace(0, len(items) - 1, min(most, len(items)))
  return [items[i] for i in places.astype(int)]


def _labels_differ(
  pairs: pairs_lib.Pairs, labels: label_contents.Labels
) -> bool:
  """Returns whether labels have another size than their image, same ratio."""
  differ = False
  for name in pairs.names:
    image, label = pairs.files(name)
    if label not in labels.files:
      continue
    [size] = sizes.read([image])
    other = labels.files[label].size
    if size != other:
      # `prepare` names what has another shape.
      if abs(size[0] * other[1] / (size[1] * other[0]) - 1) > 0.02:
        return False
      differ = True
  return differ


def min_pixels(found: Found) -> float:
  """Returns the fraction of a class from which an image serves to draw it.

  A hundredth, or less if a class has no training image with twice as much.
  """
  place = {value: c for c, value in enumerate(found.encoding.values)}
  largest = np.zeros(len(place))
  for name in found.train:
    file = found.labels.files.get(found.source.files(name)[1])
    if file is None:
      continue
    counts = {v: n for v, n in file.counts.items() if v in place}
    total = sum(counts.values())
    for value, n in counts.items():
      largest[place[value]] = max(largest[place[value]], n / total)
  least = min((x for x in largest if x), default=1.0)
  return 0.01 if least > 0.02 else float(f'{least / 2:.1e}')
