"""Classes of label files, as fields of a folder record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from uda_jax import labels as labels_lib
from uda_jax.adapt import class_files
from uda_jax.adapt import label_contents
from uda_jax.adapt import label_values
from uda_jax.adapt import masks

IGNORE = labels_lib.IGNORE_LABEL
# No data set of the field has more.
MOST_CLASSES = 150
# The largest id of 16 bits marks unlabeled pixels, as 255 does of 8 bits.
_IGNORED_IDS = (IGNORE, (1 << 16) - 1)

Value = label_values.Value
_listed, _text = label_values.listed, label_values.text


class Encoding(NamedTuple):
  """Classes, and what stands for them in label files.

  Attributes:
    class_names: C names.
    values: id or color of each class.
    ignored: ids or colors of pixels without a class.
    palette: C colors for pictures, () for the standard ones.
    kind: of the label files, see `label_contents.File`.
    reason: where classes and ignored values come from.
  """

  class_names: tuple[str, ...]
  values: tuple[Value, ...]
  ignored: tuple[Value, ...]
  palette: tuple[tuple[int, int, int], ...]
  kind: str
  reason: str

  def fields(self) -> dict[str, Any]:
    """Returns the fields of a folder record on its label files."""
    rows = tuple((value, c) for c, value in enumerate(self.values))
    if self.kind in ('colors', 'gray in RGB'):
      # Gray ids as colors: all channels of every file must hold them, also of
      # files that nobody has looked at yet.
      rows += tuple((value, IGNORE) for value in self.ignored)
      colors = [(label_values.color(value), c) for value, c in rows]
      return {'label_colors': tuple(row for row in colors if row[0])}
    plain = self.values == tuple(range(len(self.values)))
    return {'label_map': () if plain else rows, 'ignore_ids': self.ignored}


def decide(
  found: label_contents.Labels,
  flag: str,
  *,
  entries: Sequence[class_files.Entry] = (),
  class_file: str = '',
  ignore: Sequence[Value] | None = None,
) -> Encoding:
  """Decides which values of label files are classes.

  Args:
    found: of the label files.
    flag: that names them, for messages.
    entries: of a file of classes; () without one: all values are classes.
    class_file: its path, for messages.
    ignore: values to ignore; None: 255, unless it is the one besides 0, and
      classes of `entries` that are named void or ignored.

  Raises:
    ValueError: in one line: no two classes, too many, or values of no class.
  """
  if entries:
    named, void, reason = _named(found, entries, class_file, flag)
  else:
    named, void, reason = None, (), ''
  ignored, why = _ignored(found, named, void, ignore)
  if named is None:
    if ignore is None and ignored:
      _check_levels(found, flag)
    named = _unnamed(found, ignored)
    reason = (
      f'all values of {len(found.files)} label files; --classes names them'
    )
  named = {value: name for value, name in named.items() if value not in ignored}
  _check_values(found, named, ignored, flag, class_file)
  values = tuple(named)
  return Encoding(
    tuple(named.values()),
    values,
    ignored,
    _palette(found, values, entries),
    found.kind,
    '; '.join(filter(None, (reason, why))),
  )


def of_target(
  found: label_contents.Labels,
  source: Encoding,
  flag: str,
  *,
  entries: Sequence[class_files.Entry] = (),
  class_file: str = '',
) -> Encoding:
  """Returns how other label files encode the classes of the source.

  Args:
    found: of the label files.
    source: the classes.
    flag: that names the files, for messages.
    entries: of a file of classes, see `decide`.
    class_file: its path.

  Raises:
    ValueError: in one line: they hold values of no class of the source.
  """
  if entries and (found.kind == 'colors') != (source.kind == 'colors'):
    named, void, _ = _named(found, entries, class_file, flag)
    by_name = {name: value for value, name in named.items()}
    missing = [name for name in source.class_names if name not in by_name]
    if missing:
      raise ValueError(
        f'{class_file}: expected ids and colors of all classes, as {flag} are '
        f'{found.kind} and those of the source {source.kind}, got none that '
        f'gives {missing[0]!r}'
      )
    values = tuple(by_name[name] for name in source.class_names)
    ignored = (*void, *(() if found.kind == 'colors' else _IGNORED_IDS[:1]))
  else:
    values, ignored = source.values, source.ignored
    if (found.kind == 'colors') != (source.kind == 'colors'):
      raise ValueError(
        f'{flag}: expected label files as those of the source ({source.kind}), '
        f'got {found.kind}; --classes=FILE with ids and colors relates them'
      )
  unknown = [v for v in found.counts if v not in (*values, *ignored)]
  if unknown:
    raise ValueError(
      f'{flag}: expected the classes of the source ({_listed(values)}; '
      f'ignored: {_listed(ignored) or "none"}), got {_listed(unknown)}, too; '
      'convert the label files, or leave such classes out with --ignore'
    )
  return source._replace(values=values, ignored=ignored, kind=found.kind)


def _named(
  found: label_contents.Labels,
  entries: Sequence[class_files.Entry],
  path: str,
  flag: str,
) -> tuple[dict[Value, str], tuple[Value, ...], str]:
  """Returns value -> name, and the values of classes to ignore."""
  reason = f'{len(entries)} names in {path}'
  if found.kind == 'colors':
    if entries[0].color is None:
      raise ValueError(
        f'{path}: expected a color for each class, as the label files of '
        f'{flag} hold colors, got names alone; write lines R G B NAME'
      )
    values: list[Value] = [entry.color for entry in entries]  # type: ignore
  elif entries[0].id is not None:
    values = [entry.id for entry in entries]  # type: ignore
  elif entries[0].color is not None and found.colors:
    by_color: dict[Any, int] = {c: v for v, c in found.colors.items()}
    known = [entry for entry in entries if entry.color in by_color]
    reason += ', by the colors of the palette'
    if len(known) < len(entries):
      reason += f' ({len(entries) - len(known)} without a pixel left out)'
    values, entries = [by_color[entry.color] for entry in known], known
  elif _is_mask(found) and len(entries) == 2:
    values = [0, IGNORE]
    reason += ', of 0 and 255'
  else:
    values = list(range(len(entries)))
    reason += ', the line is the id'
  pairs = list(zip(values, entries))
  void = tuple(value for value, entry in pairs if entry.void)
  named = {value: entry.name for value, entry in pairs if not entry.void}
  if found.kind != 'colors':
    named = dict(sorted(named.items()))
  return named, void, reason


def _is_mask(found: label_contents.Labels) -> bool:
  return found.kind != 'colors' and masks.is_mask(found.counts)


def _ignored(
  found: label_contents.Labels,
  named: Mapping[Value, str] | None,
  void: Sequence[Value],
  ignore: Sequence[Value] | None,
) -> tuple[tuple[Value, ...], str]:
  """Returns the values to ignore, and why."""
  if ignore is not None:
    text = _listed(ignore) if ignore else 'nothing'
    return tuple(dict.fromkeys((*void, *ignore))), f'{text} ignored by --ignore'
  ignored = list(void)
  if found.kind != 'colors' and not _is_mask(found):
    ignored += [
      v
      for v in _IGNORED_IDS
      if v not in ignored and v in found.counts and v not in (named or {})
    ]
  if _is_mask(found):
    return tuple(ignored), '0 and 255 alone: 255 is the second class'
  if not ignored:
    return (), 'nothing ignored'
  return tuple(ignored), f'{_listed(ignored)} ignored'


def _unnamed(
  found: label_contents.Labels, ignored: Sequence[Value]
) -> dict[Value, str]:
  """Returns value -> made-up name of all values that are there."""
  values: list[Any] = [v for v in found.counts if v not in ignored]
  if found.kind == 'colors':
    return {value: '#{:02x}{:02x}{:02x}'.format(*value) for value in values}
  if _is_mask(found):
    return {0: 'background', IGNORE: 'object'}
  return {value: f'class {value}' for value in sorted(values)}


def _check_levels(found: label_contents.Labels, flag: str) -> None:
  """Raises ValueError for gray levels, of which the white one is ignored."""
  if found.kind != 'colors' and masks.are_levels(found.counts):
    values = sorted(found.counts)
    raise ValueError(
      f'{flag}: expected ids, got the gray levels {_listed(values)}, of which '
      f'{values[-1]} may be a class, or pixels without one; --ignore=none '
      f'makes it a class, --ignore={values[-1]} ignores it'
    )


def _check_values(
  found: label_contents.Labels,
  named: Mapping[Value, str],
  ignored: Sequence[Value],
  flag: str,
  class_file: str,
) -> None:
  """Raises ValueError unless there are 2 to `MOST_CLASSES` known classes."""
  there = [value for value in found.counts if value not in ignored]
  kind = 'colors' if found.kind == 'colors' else 'ids'
  is_soft = kind == 'ids' and masks.is_soft(found.counts)
  if len(there) > MOST_CLASSES or is_soft:
    raise ValueError(
      f'{flag}: expected 2 to {MOST_CLASSES} classes, got {len(there)} {kind} '
      f'({_listed(there)}); these are masks with soft edges (resized, or once '
      'saved as JPEG), numbers of instances, or photographs'
    )
  if len(there) < 2:
    one = f'{kind[:-1]} {_text(there[0])} alone' if there else 'no class'
    rest = f' besides the ignored {_listed(ignored)}' if ignored else ''
    raise ValueError(
      f'{flag}: expected two classes or more, got {one}{rest} in '
      f'{len(found.files)} label files, so there is nothing to tell apart; '
      'label what is not of the class, too'
      + ('; --ignore=none makes ignored pixels a class' if ignored else '')
    )
  unknown = [value for value in there if value not in named]
  if unknown:
    raise ValueError(
      f'{class_file}: expected a class for each of the {kind} of {flag}, got '
      f'none for {_listed(unknown)}; add lines, or leave them out with '
      f"--ignore='{','.join(map(_text, unknown))}'"
    )
  if not 2 <= len(named) <= MOST_CLASSES:
    raise ValueError(
      f'{class_file}: expected 2 to {MOST_CLASSES} classes, got {len(named)}'
    )


def _palette(
  found: label_contents.Labels,
  values: Sequence[Value],
  entries: Sequence[class_files.Entry],
) -> tuple[tuple[int, int, int], ...]:
  """Returns the colors that label files or the class file show classes in.

  () unless they are different and none is black, which shows ignored pixels.
  """
  by_id: dict[Any, Any] = {e.id: e.color for e in entries if e.id is not None}
  of_files: Mapping[Any, Any] = found.colors
  colors: tuple[Any, ...]
  if found.kind == 'colors':
    colors = tuple(values)
  elif all(by_id.get(value) for value in values):
    colors = tuple(by_id[value] for value in values)
  else:
    colors = tuple(of_files.get(value, ()) for value in values)
  black = (0, 0, 0)
  good = all(colors) and black not in colors and len(set(colors)) == len(values)
  return colors if good else ()
