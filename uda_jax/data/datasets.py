"""From the record of a data set in a config to its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import functools
from typing import Any

from uda_jax.data import checks
from uda_jax.data import folders
from uda_jax.data import label_fraction
from uda_jax.data import manifest
from uda_jax.data import prepared
from uda_jax.data import records
from uda_jax.data import rendered
from uda_jax.data import renderers
from uda_jax.data import transforms

PARTS = records.PARTS
# Kind -> recipe of a record.
_RECIPES = {'folder': folders.recipe} | {
  kind: functools.partial(rendered.recipe, kind=kind)
  for kind in renderers.RENDERERS
}


def load_part(config: Any, name: str, channels: int = 3) -> manifest.Manifest:
  """Prepares and reads a part of a run: a data set, or several.

  Args:
    config: the `data` block of a config.
    name: one of `PARTS`.
    channels: `config.model.in_channels`, which every image must have.

  Returns:
    The manifest, of several sets one after the other.
  """
  return _joined(config, name, recipes_of_part(config, name, channels))


def recipes_of_part(
  config: Any, name: str, channels: int = 3
) -> list[manifest.Recipe]:
  """Returns how to prepare each set of a part; arguments of `load_part`."""
  return _recipes(config, name, channels, labels=name != 'target')


def load_labeled(
  config: Any, part: label_fraction.Part, channels: int = 3
) -> manifest.Manifest:
  """Prepares and reads the target images whose labels are learned from.

  The labels of the other images are not opened. Of several sets, it is this
  part of each.

  Args:
    config: the `data` block of a config.
    part: which of the target's images.
    channels: see `load_part`.

  Returns:
    The manifest, with labels.
  """
  return _joined(
    config, 'target', recipes_of_labeled(config, part, channels), part
  )


def recipes_of_labeled(
  config: Any, part: label_fraction.Part, channels: int = 3
) -> list[manifest.Recipe]:
  """Returns how to prepare that part; arguments as of `load_labeled`."""
  return _recipes(config, 'target', channels, labels=True, part=part)


def _recipes(
  config: Any,
  name: str,
  channels: int,
  *,
  labels: bool,
  part: label_fraction.Part | None = None,
) -> list[manifest.Recipe]:
  """Returns the recipe of each set of a part of a run."""
  return [
    recipe_of_set(config, name, entry, channels, labels=labels, part=part)
    for entry in records.entries(config, name)
  ]


def recipe_of_set(
  config: Any,
  name: str,
  entry: records.Entry,
  channels: int,
  *,
  labels: bool,
  part: label_fraction.Part | None = None,
) -> manifest.Recipe:
  """Returns how to prepare one set of a part.

  Args:
    config: the `data` block of a config.
    name: one of `PARTS`.
    entry: of `records.entries`.
    channels: see `load_part`.
    labels: whether labels are wanted, see `load`.
    part: which of the images; None: all.
  """
  return _recipe(
    entry.record,
    root=config.root,
    cache_dir=config.cache_dir,
    field=entry.field,
    labels=labels,
    resize=_resize(config, name, entry),
    channels=channels,
    part=part,
  )


def _joined(
  config: Any,
  name: str,
  recipes: Sequence[manifest.Recipe],
  part: label_fraction.Part | None = None,
) -> manifest.Manifest:
  """Prepares the sets of a part of a run, and reads them as one manifest."""
  found = []
  entries = records.entries(config, name)
  for entry, recipe in zip(entries, recipes, strict=True):
    data = prepared.prepare(recipe, config.cache_dir)
    if part and entry.record['kind'] != 'folder':
      # Rendered with all labels.
      data = manifest.take(data, part.rows(len(data.image_paths)))
    found.append(
      (
        manifest.Set(
          entry.name, data.name, 0, 0, entry.weight, entry.resize_to
        ),
        data,
      )
    )
  if not entries[0].name:
    return found[0][1]
  return manifest.joined(found)


def _resize(
  config: Any, name: str, entry: records.Entry
) -> transforms.Spec | None:
  """Returns the size of the copies that training reads, None for none."""
  # Labels are scored at their own size, pairs are cut at a scale of their own.
  if (
    not config.resized_copies
    or name == 'evaluation'
    or (name == 'target' and any(config.pair.crop_size))
  ):
    return None
  size = entry.resize_to
  if not any(size):
    size = tuple(config[f'{name}_image_size'])
  if not any(size) or tuple(config.scale_range) != (1.0, 1.0):
    raise ValueError(
      'config.data.resized_copies: expected False, as there is no one size '
      f'for copies: config.data.{name}_image_size is {size} and '
      f'config.data.scale_range {tuple(config.scale_range)}'
    )
  return transforms.Spec(
    image_size=size, keep_ratio=config.keep_ratio, resize=config.resize
  )


def load(
  record: Mapping[str, Any],
  *,
  root: str,
  cache_dir: str,
  field: str,
  labels: bool,
  resize: transforms.Spec | None = None,
  channels: int = 3,
) -> manifest.Manifest:
  """Prepares the data set of a record (once) and reads its manifest.

  Args:
    record: `kind` and the fields of that kind's record type.
    root: `config.data.root`; roots of folder records are relative to it.
    cache_dir: where prepared data sets are kept.
    field: the config field of the record, for messages.
    labels: whether labels are wanted. If not, no label file is looked for,
      opened or written.
    resize: the size of copies that are made of a folder's images.
    channels: see `load_part`.

  Returns:
    The manifest; unlabeled exactly if `labels` is False.
  """
  recipe = _recipe(
    record,
    root=root,
    cache_dir=cache_dir,
    field=field,
    labels=labels,
    resize=resize,
    channels=channels,
  )
  return prepared.prepare(recipe, cache_dir)


def _recipe(
  record: Mapping[str, Any],
  *,
  root: str,
  cache_dir: str,
  field: str,
  labels: bool,
  resize: transforms.Spec | None,
  channels: int,
  part: label_fraction.Part | None = None,
) -> manifest.Recipe:
  """Returns how to prepare the data set of a record; see `load`."""
  made = records.make(record, field)
  kind = record['kind']
  checks.need_cache_dir(cache_dir)
  if resize is not None and kind != 'folder':
    raise ValueError(
      'config.data.resized_copies: expected False, as there are '
      f"copies of kind 'folder' alone, got kind {kind!r}"
    )
  records.check_channels(kind, channels, field)
  options: dict[str, Any] = {} if resize is None else {'resize': resize}
  if kind == 'folder':
    options |= {'channels': channels, 'part': part}
  return _RECIPES[kind](made, root=root, field=field, labels=labels, **options)
