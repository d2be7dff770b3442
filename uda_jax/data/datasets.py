"""From the record of a data set in a config to its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uda_jax.data import folders
from uda_jax.data import manifest
from uda_jax.data import street_scenes

# kind -> (record type, recipe of a record).
KINDS = {
    'folder': (folders.FolderRecord, folders.recipe),
    'streets': (street_scenes.StreetsRecord, street_scenes.recipe),
}


def load(record: Mapping[str, Any], *, root: str, cache_dir: str, field: str,
         labels: bool) -> manifest.Manifest:
  """Prepares the data set of a record (once) and reads its manifest.

  Args:
    record: `kind` and the fields of that kind's record type.
    root: `config.data.root`; roots of folder records are relative to it.
    cache_dir: where prepared data sets are kept.
    field: the config field of the record, for messages.
    labels: whether labels are wanted. If not, no label file is looked for,
      opened or written.

  Returns:
    The manifest; unlabelled exactly if `labels` is False.
  """
  values = dict(record.items())
  kind = values.pop('kind', None)
  if kind not in KINDS:
    raise ValueError(f'{field}.kind: expected one of {sorted(KINDS)}, got '
                     f'{kind!r}')
  record_type, recipe = KINDS[kind]
  unknown = sorted(set(values) - set(record_type._fields))
  missing = sorted(set(record_type._fields) - set(values)
                   - set(record_type._field_defaults))
  if unknown or missing:
    wrong = f'got {unknown[0]!r}' if unknown else f'{missing[0]!r} is missing'
    raise ValueError(f'{field}: expected the fields of kind {kind!r}, '
                     f'{record_type._fields}, {wrong}')
  if not cache_dir:
    raise ValueError('config.data.cache_dir: expected a folder for prepared '
                     "data, got ''")
  return manifest.prepare(
      recipe(record_type(**values), root=root, field=field, labels=labels),
      cache_dir)
