"""Files that name the classes of label files.

Text or CSV, one class a line; a comma, a colon, a tab or spaces divide its
parts, and lines that start with # are comments:

  road                 the line's number, from 0, is the id
  7 road               the id of label files
  128 64 128 road      the color of label files (the name may come first)
  7 road 128 64 128    both

A first line of column names (name, id, r, g, b) is allowed. JSON: a list of
names, {"road": 7}, {"7": "road"}, {"road": [128, 64, 128]}, or a list of
{"name": "road", "id": 7, "color": [128, 64, 128]}. Colors are from 0 to 255;
those of 0.0 and 1.0 alone may be parts of 1, and are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import json
import pathlib
import re
from typing import Any, NamedTuple

# Where a file is looked for, in this order, if none is given.
NAMES = tuple(
  f'{stem}.{ending}'
  for stem in ('classes', 'class_names', 'class_dict', 'labelmap', 'codes')
  for ending in ('txt', 'csv', 'json')
)
# Classes of these names are ignored.
VOID = ('void', 'ignore', 'ignored', 'unlabeled', 'unlabelled')

_HEADER = ('name', 'class', 'label', 'id')
_CHANNELS = range(256)
# Three numbers at an end of a name, one of them with a point at least.
_NUMBER = r'\d*\.?\d+'
_FRACTIONS = re.compile(
  rf'(?=.*\.\d)(({_NUMBER} +){{3}}.*|.*( +{_NUMBER}){{3}})'
)
_COLORS = ('r', 'g', 'b', 'red', 'green', 'blue')


class Entry(NamedTuple):
  """A class of a file: its name, and its id or color in label files."""

  name: str
  id: int | None = None
  color: tuple[int, int, int] | None = None

  @property
  def void(self) -> bool:
    """True if pixels of this class are ignored."""
    return self.name.lower() in VOID


def find(folders: Sequence[pathlib.Path]) -> pathlib.Path | None:
  """Returns the first file of `NAMES` in any of the folders, None if none."""
  for folder in folders:
    for name in NAMES:
      if (folder / name).is_file():
        return folder / name
  return None


def read(path: pathlib.Path) -> tuple[Entry, ...]:
  """Reads a file of class names; see the module's docstring.

  Raises:
    ValueError: in one line that names the file, and the line.
  """
  try:
    text = path.read_text('utf-8-sig')
  except UnicodeDecodeError as error:
    raise ValueError(f'{path}: expected text in UTF-8 ({error})') from error
  if path.suffix.lower() == '.json':
    entries = _from_json(path, text)
  else:
    entries = _from_lines(path, text)
  return _checked(path, entries)


def _from_lines(path: pathlib.Path, text: str) -> list[Entry]:
  entries: list[Entry] = []
  rows = [
    (number, line.strip())
    for number, line in enumerate(text.splitlines(), 1)
    if line.strip() and not line.lstrip().startswith('#')
  ]
  columns: list[str] = []
  if rows and re.split(r'[,;\t]', rows[0][1].lower())[0] in _HEADER:
    columns = [c.strip() for c in re.split(r'[,;\t]', rows[0][1].lower())]
    # A list of plain names may begin with a class of such a name.
    columns = columns if len(columns) > 1 else []
    rows = rows[1:] if columns else rows
    _check_columns(path, columns)
  for number, line in rows:
    try:
      entries.append(_entry(line, columns))
    except ValueError as error:
      raise ValueError(
        f'{path}, line {number}: expected NAME, ID NAME or R G B NAME, got '
        f'{line!r} ({error})'
      ) from error
  _check_numbered(path, entries)
  return entries


def _check_columns(path: pathlib.Path, columns: Sequence[str]) -> None:
  """Raises for columns of a color in another order than is read."""
  colors = [c for c in columns if c in _COLORS]
  if colors and [c[0] for c in colors] != ['r', 'g', 'b']:
    raise ValueError(
      f'{path}, line 1: expected the columns r, g, b in this order, got '
      f'{", ".join(colors)}'
    )


def _check_numbered(path: pathlib.Path, entries: Sequence[Entry]) -> None:
  """Raises if the numbers behind all names may be ids."""
  parts = [re.fullmatch(r'(.*\S) +\d+', entry.name) for entry in entries]
  # 'class 1' and 'class 2' are numbered names.
  different = len({part.group(1) for part in parts if part}) == len(entries)
  bare = all(entry.id is None and entry.color is None for entry in entries)
  if different and bare and len(entries) > 1:
    raise ValueError(
      f'{path}: expected lines ID NAME or NAME,ID, got {entries[0].name!r} and '
      'others of this form; a comma makes the number the id'
    )


def _entry(line: str, columns: Sequence[str]) -> Entry:
  """Parses a line: a name, and the numbers before and after it."""
  fields = [x.strip().strip('"') for x in re.split(r'[,;:\t]', line)]
  fields = [x for x in fields if x]
  if len(fields) == 1:
    # 'lane 2' is a name: behind one, spaces divide a color alone.
    match = re.fullmatch(r'((?:\d+ +)*)(.*?)((?: +\d+){3})?', fields[0])
    assert match
    fields = [x for x in match.groups() if x and x.strip()]
  is_numbers = lambda x: re.fullmatch(r'\d+( +\d+)*', x.strip()) is not None
  names = [x.strip() for x in fields if not is_numbers(x)]
  if len(names) != 1:
    raise ValueError(f'{len(names) or "no"} name{"s" * (len(names) > 1)}')
  if _FRACTIONS.fullmatch(names[0]):
    raise ValueError('colors are whole numbers from 0 to 255')
  numbers = [int(n) for x in fields if is_numbers(x) for n in x.split()]
  before = is_numbers(fields[0])
  if len(numbers) == 4 and not before and _id_is_last(columns):
    numbers = [numbers[-1], *numbers[:-1]]
  return _with_numbers(names[0], numbers)


def _id_is_last(columns: Sequence[str]) -> bool:
  return bool(columns) and columns[-1] == 'id'


def _with_numbers(name: str, numbers: Sequence[int]) -> Entry:
  """Makes an entry of a name and no number, an id, a color, or both."""
  if len(numbers) not in (0, 1, 3, 4):
    raise ValueError(f'{len(numbers)} numbers')
  color = None
  if len(numbers) >= 3:
    red, green, blue = numbers[-3:]
    color = red, green, blue
  if color and not all(c in _CHANNELS for c in color):
    raise ValueError(f'no color {color}')
  return Entry(name, numbers[0] if len(numbers) in (1, 4) else None, color)


def _from_json(path: pathlib.Path, text: str) -> list[Entry]:
  try:
    tree = json.loads(text, object_pairs_hook=_without_twins)
    if isinstance(tree, dict):
      entries = [_pair(key, value) for key, value in tree.items()]
    elif isinstance(tree, list) and tree:
      entries = [_item(item) for item in tree]
    else:
      raise ValueError('it is neither a list nor an object')
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
      f'{path}: expected a list of names, {{"NAME": ID}}, {{"ID": "NAME"}} or '
      f'a list of {{"name", "id", "color"}}, got something else ({error})'
    ) from error
  _check_scale(path, tree.values() if isinstance(tree, dict) else tree)
  return entries


def _check_scale(path: pathlib.Path, items: Iterable[Any]) -> None:
  """Raises for colors that may be parts of 1, as 1.0 is a whole number."""
  found = [x.get('color') if isinstance(x, dict) else x for x in items]
  colors = [x for x in found if isinstance(x, list) and len(x) >= 3]
  channels = [channel for color in colors for channel in color[-3:]]
  if (
    any(isinstance(channel, float) for channel in channels)
    and max(map(_whole, channels)) <= 1
  ):
    raise ValueError(
      f'{path}: expected colors from 0 to 255, got 0.0 and 1.0 alone, such as '
      f'{colors[-1]}, which may be parts of 1; write 255 for 1.0, or 1 if that '
      'is what the label files hold'
    )


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """Returns the object of a file; of two equal keys, JSON keeps the last."""
  keys = [key for key, _ in pairs]
  twice = [key for key in keys if keys.count(key) > 1]
  if twice:
    raise ValueError(f'{twice[0]!r} twice')
  return dict(pairs)


def _whole(value: Any) -> int:
  """Returns a whole number, which may be a text; ValueError for 0.5, true."""
  if isinstance(value, bool) or (isinstance(value, float) and value % 1):
    raise ValueError(f'{value!r} is no whole number')
  return int(value)


def _pair(key: str, value: Any) -> Entry:
  if isinstance(value, str):
    return Entry(value, int(key))
  if isinstance(value, list):
    return _with_numbers(key, [*map(_whole, value)])
  if isinstance(value, dict):
    return _item({'name': key, **value})
  return Entry(key, _whole(value))


def _item(item: Any) -> Entry:
  if isinstance(item, str):
    return Entry(item)
  color = item.get('color')
  numbers = [] if item.get('id') is None else [_whole(item['id'])]
  numbers += [] if color is None else [*map(_whole, color)]
  return _with_numbers(str(item['name']), numbers)


def _checked(path: pathlib.Path, entries: list[Entry]) -> tuple[Entry, ...]:
  """Raises unless all entries give the same kinds of facts, each once."""
  if not entries:
    raise ValueError(f'{path}: expected the names of classes, got none')
  for kind in ('name', 'id', 'color'):
    values = [getattr(entry, kind) for entry in entries]
    there = [value for value in values if value is not None]
    if there and len(there) < len(values):
      raise ValueError(
        f'{path}: expected all classes with {kind}, or none, got '
        f'{len(there)} of {len(values)} with one'
      )
    twice = [value for value in there if there.count(value) > 1]
    if twice:
      raise ValueError(
        f'{path}: expected each {kind} once, got {twice[0]!r} twice'
      )
  return tuple(entries)
