"""Pairs of image and label in folders, by their names.

Folders become patterns of the library's folder records, so that a config reads
the very same files: `A/images` becomes `A/images/*`, and a folder with one
level of folders `A/images/*/*`. Where names differ by a fixed beginning or end
(`001.jpg` and `001_mask.png`), it becomes part of the pattern.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
import os
import pathlib
import re
from typing import NamedTuple

from etils import epath

from uda_jax.data import file_tree
from uda_jax.data import listing

# Beginnings and ends of names that are tried.
_MOST_AFFIXES = 8


class Side(NamedTuple):
  """The images, or the labels, that a flag names.

  Attributes:
    pattern: absolute, of a folder record.
    files: by what the * of the pattern stand for.
    passed_over: text on hidden and empty files, '' if there are none.
  """

  pattern: str
  files: Mapping[str, listing.File]
  passed_over: str

  @property
  def folder(self) -> pathlib.Path:
    """The deepest folder without a * in its path."""
    return pathlib.Path(os.path.dirname(self.pattern.partition('*')[0]))


class Pairs(NamedTuple):
  """Images with labels.

  Attributes:
    images: all images.
    labels: all labels.
    names: of the images that have a label, sorted.
  """

  images: Side
  labels: Side
  names: tuple[str, ...]

  def files(self, name: str) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns the image and the label of a name."""
    image, label = (
      pathlib.Path(side.files[name].path) for side in (self.images, self.labels)
    )
    return image, label


class _Affixes(NamedTuple):
  """Texts before and after the part of names by which they are paired."""

  before: str
  after: str


def find(text: str, flag: str) -> Side:
  """Returns the image files of a folder or pattern.

  Args:
    text: a folder whose images all lie in it, or all in folders equally deep
      below it; or a pattern in which * stands for any text without a slash.
    flag: for messages, such as --source.

  Raises:
    OSError, ValueError: in one line.
  """
  path = os.path.abspath(os.path.expanduser(text))
  if '*' in path:
    return _side(path, flag)
  folder = pathlib.Path(path)
  if not folder.is_dir():
    kind = 'a file' if folder.exists() else 'nothing'
    raise FileNotFoundError(
      f"{flag}: expected a folder, or a pattern such as 'A/*/*.png', found "
      f'{kind} at {folder}'
    )
  tree = file_tree.find(folder)
  if not tree.files:
    raise FileNotFoundError(
      f'{flag}: found no image in {folder} (endings '
      f'{", ".join(listing.ENDINGS)})'
    )
  depths = {len(file.relative_to(folder).parts): file for file in tree.files}
  if len(depths) > 1:
    example = depths[max(depths)].relative_to(folder)
    raise ValueError(
      f'{flag}: expected images equally deep below {folder}, got some in it '
      f'and some deeper, such as {example}; give the folder of those that are '
      f"wanted, or a pattern such as '{folder}{'/*' * min(depths)}'"
    )
  return _side(str(folder) + '/*' * depths.popitem()[0], flag)


def _side(pattern: str, flag: str) -> Side:
  found = listing.find(epath.Path('/'), pattern, flag, listing.ENDINGS)
  skipped = listing.passed_over(found.hidden, found.empty)
  return Side(pattern, found.files, skipped)


def pair(images: Side, labels: Side, flags: tuple[str, str]) -> Pairs:
  """Pairs images with labels by name.

  Args:
    images: of `find`.
    labels: of `find`.
    flags: of the images and the labels, for messages.

  Raises:
    ValueError: no image has a label, or it is not clear which one.
  """
  best = _same_names(images, labels)
  # Patterns say themselves what their * stand for.
  folders = all(side.pattern.endswith('/*') for side in (images, labels))
  if folders and len(best.names) < min(len(images.files), len(labels.files)):
    other = _by_affixes(images, labels, flags, len(best.names))
    best = other or best
  if not best.names:
    first = [next(iter(side.files.values())).path for side in (images, labels)]
    raise ValueError(
      f'{flags[1]}: expected labels with the names of images, got images such '
      f'as {first[0].name} and labels such as {first[1].name}; give patterns '
      "whose * stand for the same text, such as 'images/*_rgb.png' and "
      "'labels/*_mask.png'"
    )
  return best


def _same_names(images: Side, labels: Side) -> Pairs:
  names = tuple(name for name in images.files if name in labels.files)
  return Pairs(images, labels, names)


def _by_affixes(
  images: Side, labels: Side, flags: tuple[str, str], least: int
) -> Pairs | None:
  """Pairs names that differ by beginnings and ends; None if too few do.

  Args:
    images: of folders.
    labels: of folders.
    flags: for messages.
    least: more pairs than this are wanted.
  """
  # Which files are paired -> the shortest affixes that pair them.
  found: dict[tuple, tuple[_Affixes, _Affixes]] = {}
  label_cores = [(a, _cores(labels.files, a)) for a in _affixes(labels.files)]
  for own in _affixes(images.files):
    cores = _cores(images.files, own)
    for other, names in label_cores:
      same = cores.keys() & names.keys()
      if len(same) <= least:
        continue
      key = tuple(frozenset(x[core] for core in same) for x in (cores, names))
      option = (own, other)
      found[key] = min(found.get(key, option), option, key=_length)
  if not found:
    return None
  most = max(len(key[0]) for key in found)
  options = [option for key, option in found.items() if len(key[0]) == most]
  if len(options) > 1:
    shown = sorted(
      {f'{a.before}*{a.after}' for option in options for a in option}
    )
    raise ValueError(
      f'{flags[1]}: expected one label for each image, got names that pair in '
      f'several ways ({", ".join(shown)}); give the wanted files as patterns, '
      f"such as {flags[0]}='{images.pattern}{options[0][0].after}.png' "
      f"{flags[1]}='{labels.pattern}{options[0][1].after}.png'"
    )
  sides = [
    _side(_pattern(side, affixes, flag), flag)
    for side, affixes, flag in zip((images, labels), options[0], flags)
  ]
  return _same_names(*sides)


def _length(option: tuple[_Affixes, _Affixes]) -> int:
  return sum(len(text) for affixes in option for text in affixes)


def _affixes(names: Iterable[str]) -> Iterator[_Affixes]:
  """Yields beginnings and ends that many names have, cut between words."""
  before, after = Counter({'': 1}), Counter({'': 1})
  names = list(names)
  for name in names:
    stem = name.rpartition('/')[2]
    cuts = [match.start() for match in re.finditer('[_. -]', stem)]
    before.update(stem[: cut + 1] for cut in cuts)
    after.update(stem[cut:] for cut in cuts)
  least = max(2, len(names) // 20)
  for start in _most_common(before, least):
    for end in _most_common(after, least):
      yield _Affixes(start, end)


def _most_common(counts: Counter, least: int) -> list[str]:
  common = [text for text, n in counts.most_common(_MOST_AFFIXES) if n >= least]
  return ['', *(text for text in common if text)]


def _cores(names: Iterable[str], affixes: _Affixes) -> dict[str, str]:
  """Returns core -> name of the names with these affixes, {} if two clash."""
  cores: dict[str, str] = {}
  for name in names:
    folder, _, stem = name.rpartition('/')
    inside = len(stem) > len(affixes.before) + len(affixes.after)
    if (
      inside
      and stem.startswith(affixes.before)
      and stem.endswith(affixes.after)
    ):
      end = len(stem) - len(affixes.after)
      core = f'{folder}/{stem[len(affixes.before) : end]}'
      if core in cores:
        return {}
      cores[core] = name
  return cores


def _pattern(side: Side, affixes: _Affixes, flag: str) -> str:
  """Returns the pattern of the names with these affixes."""
  start = f'{side.pattern[:-1]}{affixes.before}*{affixes.after}'
  if not affixes.after:
    return start
  endings = {
    pathlib.Path(file.path).suffix.lower()
    for name, file in side.files.items()
    if name.endswith(affixes.after)
  }
  if len(endings) > 1:
    raise ValueError(
      f'{flag}: expected one ending of the files that are named '
      f'*{affixes.after}, got {", ".join(sorted(endings))}; convert them, or '
      f"give a pattern such as '{start}{min(endings)}'"
    )
  return start + endings.pop()
