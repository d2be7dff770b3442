"""The record of labeled target images, which no config holds."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from uda_jax import files
from uda_jax.adapt import folder_contents

_FILE = 'target_labels.json'


def write(found: folder_contents.Found, folder: pathlib.Path) -> None:
  """Writes where the labeled target images are, if there are any.

  Args:
    found: in the folders.
    folder: of lists and pictures, `RUN/found`.
  """
  pairs, encoding = found.scored, found.target_encoding
  if pairs is None or encoding is None:
    (folder / _FILE).unlink(missing_ok=True)
    return
  where = pairs.images.folder
  fields = encoding.fields()
  if found.resize_target:
    fields['resize_labels'] = True
  record = {
    'name': f'{where.parent.name}/{where.name}',
    'images': pairs.images.pattern,
    'labels': pairs.labels.pattern,
    'files': str(folder / 'scored.txt'),
    'class_names': encoding.class_names,
    **fields,
  }
  files.write_atomically(folder / _FILE, files.to_json(record))


def read(folder: pathlib.Path) -> dict[str, Any] | None:
  """Returns the fields of the record that `write` wrote, None without one."""
  path = folder / _FILE
  if not path.is_file():
    return None
  return {k: _tuples(v) for k, v in json.loads(path.read_text()).items()}


def _tuples(value: Any) -> Any:
  return tuple(map(_tuples, value)) if isinstance(value, list) else value
