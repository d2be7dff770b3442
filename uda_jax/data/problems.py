"""Summaries of what is wrong with the files of a data set.

Twenty files with one mistake are one line that names the first of them, counts
the others, and shows the config lines to paste.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
import re
from typing import Any

from uda_jax import labels as labels_lib
from uda_jax.data import label_ids

_IGNORE = labels_lib.IGNORE_LABEL
# More rows are no label map to paste.
_LONGEST_MAP = 64


def summarize(
  errors: Sequence[Exception], record: Any, field: str
) -> list[str]:
  """Returns one line for each kind of error.

  Args:
    errors: each names one file.
    record: a `FolderRecord`.
    field: the config field that holds the record.
  """
  groups: dict[Any, list[Exception]] = {}
  for error in errors:
    groups.setdefault(_kind(error), []).append(error)
  return [_line(group, record, field) for group in groups.values()]


def _kind(error: Exception) -> Any:
  """Returns what errors of one kind share: the text less paths and numbers."""
  if isinstance(error, label_ids.UnknownValues):
    return label_ids.UnknownValues, type(next(iter(error.counts)))
  # Paths are the words with a slash.
  return re.sub(r'\d+', '#', re.sub(r'\S*/.*?(?=[:,;)]| |$)', '', str(error)))


def _line(group: Sequence[Exception], record: Any, field: str) -> str:
  first = group[0]
  if isinstance(first, label_ids.UnknownValues):
    return _unknown_values(group, record, field)
  if len(group) == 1:
    return str(first)
  return f'{first} [and {len(group) - 1} more file(s) like it]'


def _unknown_values(group: Sequence[Any], record: Any, field: str) -> str:
  """Returns the line on ids or colors of no class, with a map to paste."""
  counts: Counter[Any] = Counter()
  for error in group:
    counts.update(error.counts)
  colors = isinstance(next(iter(counts)), tuple)
  ordered = counts.most_common() if colors else sorted(counts.items())
  where = str(group[0].path)
  if len(group) > 1:
    where += f' and {len(group) - 1} more label file(s)'
  name = 'label_colors' if colors else 'label_map'
  known = dict(record.label_colors) if colors else label_ids.known_ids(record)
  kind = 'colors' if colors else 'ids'
  from_map = colors or record.label_map
  start = (
    f'{where}: expected the {kind} of {field} '
    f'({name if from_map else "class_names"}: {_short(known)}), got '
    f'{label_ids.listed(dict(ordered))}'
  )
  if len(counts) > _LONGEST_MAP:
    return (
      f'{start}; so many {kind} are no classes: a mask that was resized or '
      'saved as JPEG, or a picture'
    )
  rows = known | {value: _IGNORE for value, _ in ordered}
  ways = f'; give each a class (255 = ignore): {field}.{name}={_pasted(rows)}'
  return ways.join((start, '' if colors else f', or use {field}.ignore_ids'))


def _short(known: dict[Any, int]) -> str:
  shown = sorted(known)
  return f'{shown}' if len(shown) <= 24 else f'{len(shown)} of them'


def _pasted(rows: dict[Any, int]) -> str:
  """Writes rows as a tuple that can be pasted into a config."""
  return f'({", ".join(f"({v}, {c})" for v, c in sorted(rows.items()))},)'


def of_all_labels(
  record: Any, field: str, ids: Counter, train_counts: Any, ignored: int
) -> Iterator[str]:
  """Yields what is wrong with the labels of a data set as a whole.

  Args:
    record: a `FolderRecord`.
    field: the config field that holds the record.
    ids: raw id -> pixels of all label files; empty for labels in colors.
    train_counts: [C] pixels of each class.
    ignored: pixels of label 255.
  """
  if sum(train_counts) == 0:
    yield (
      f'{field}: every pixel of the labels is {_IGNORE} (ignore), so there is '
      'nothing to learn or to score; check the label files, label_map and '
      'ignore_ids'
    )
  elif (
    # With more classes, a few images may well hold one class alone.
    len(record.class_names) == 2
    and set(ids) == {0, _IGNORE}
    and ignored == ids[_IGNORE]
    and _IGNORE not in dict(record.label_map)
  ):
    share = ids[_IGNORE] / (ids[0] + ids[_IGNORE])
    yield (
      f'{field}: label files hold 0 and 255 alone ({share:.1%} of the pixels '
      'are 255), and 255 is ignored, so there is one class and nothing to '
      f'learn; if 255 is a class, set {field}.label_map=((0, 0), (255, 1))'
    )


def palette_conflict(
  first: tuple[str, dict], other: tuple[str, dict], field: str
) -> str:
  """Describes two palettes that show one id in different colors, '' if none.

  Args:
    first: a label file, and id -> color of the ids in it.
    other: likewise.
    field: the config field of the record.
  """
  for value in sorted(set(first[1]) & set(other[1])):
    if tuple(first[1][value]) != tuple(other[1][value]):
      return (
        f'{other[0]}: expected the palette of {first[0]}, where id {value} is '
        f'{tuple(first[1][value])}, got {tuple(other[1][value])}; the ids of '
        'such files do not tell the classes: give the colors in '
        f'{field}.label_colors, or save the labels as gray PNG files if the '
        'ids are right'
      )
  return ''
