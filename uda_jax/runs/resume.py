"""Changes that a start may make to the run in its directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import hashlib
import json
import os
import pathlib
import re
from typing import Any

import numpy as np

from uda_jax.runs import upgrade

# Fields that change no step of training: where things are, how the run is
# logged, saved and evaluated. `steps` may grow as well; see `differences`.
FREE_FIELDS = (
  'log',
  'checkpoint',
  'eval',
  'devices',
  'parallel',
  'data.root',
  'data.cache_dir',
  'data.eval_image_size',
  'data.allow_changes',
  'data.on_error',
  'compile_cache',
  'model.starts_from',
  # Their content may not change: `check_weights`.
  'model.weights',
)
# Value of a field in a config that lacks it, in `changed_fields`.
ABSENT = 'absent'
# What a message says to a run that should get shorter.
_SHORTER = (
  ' (its schedule has been that of {steps} steps since then, so it does not '
  'get shorter; docs/reliability.md says how to take back a mistaken start)'
)
# What is recorded of files, in the words of messages.
_CONTENTS, _FILE_SIZES = 'contents of files', 'numbers of bytes of files'
# Differing fields that a message lists.
_SHOWN = 5

Manifest = Mapping[str, Any]


def _flat(tree: Any, prefix: str = '') -> dict[str, Any]:
  """Returns the fields of nested dicts by dotted name."""
  if not isinstance(tree, dict) or not tree:
    return {prefix: tree}
  return {
    path: value
    for name, part in tree.items()
    for path, value in _flat(
      part, f'{prefix}.{name}' if prefix else name
    ).items()
  }


def differences(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
  """Returns the fields of two configs that differ: name -> (old, new)."""
  old, new = (_flat(upgrade.comparable(config)) for config in (old, new))
  pairs = {
    name: tuple(
      config.get(name, upgrade.LATER.get(name, ABSENT)) for config in (old, new)
    )
    for name in sorted(old.keys() | new.keys())
  }
  return {name: (a, b) for name, (a, b) in pairs.items() if a != b}


def last_steps(manifest: Manifest) -> int:
  """Returns the length of the run as of its last start."""
  starts = manifest['starts']
  changed = starts[-1].get('changed_fields', {}) if starts else {}
  return changed.get('steps', manifest['config'].get('steps', 0))


def _is_free(name: str) -> bool:
  """Returns whether a start may have another value of a field."""
  if any(f'{name}.'.startswith(f'{free}.') for free in FREE_FIELDS):
    return True
  # The folder of a data set, whose content `data_changes` compares.
  return bool(re.fullmatch(r'data\.(.+\.)?root', name))


def check_config(path: pathlib.Path, manifest: Manifest, new: Any) -> None:
  """Raises ValueError unless a config may resume a run.

  It may differ in `FREE_FIELDS`, and a run without rounds may get longer: it
  then trains on from its last checkpoint.

  Args:
    path: of the manifest, for the message.
    manifest: of the run.
    new: the config, as JSON values.
  """
  found = [
    f'config.{name}: expected {a!r} as at the first start, got {b!r}'
    for name, (a, b) in differences(manifest['config'], new).items()
    if name != 'steps' and not _is_free(name)
  ]
  steps, rounds = last_steps(manifest), new.get('rounds')
  new_steps = new.get('steps', 0)
  if new_steps < steps or (rounds and new_steps != steps):
    found.append(
      f'config.steps: expected {steps}{"" if rounds else " or more"} as at the '
      f'last start, got {new_steps}'
      + ('' if rounds else _SHORTER.format(steps=steps))
    )
  if found:
    more = len(found) - _SHOWN
    raise ValueError(
      f'{path} belongs to a run with another config: '
      + '; '.join(found[:_SHOWN])
      + (f'; and {more} more fields' if more > 0 else '')
      + '. Use a new --workdir, or the config of that run'
      + ('' if _saved_steps(path) else f'; {path.parent} holds no checkpoint')
    )


def describe_data(data: Any) -> dict[str, Any]:
  """Returns what a manifest records of a data set.

  Args:
    data: a `data.manifest.Manifest`.

  Returns:
    Name, number of images, and hashes over all of them by what they cover.
    Folders and times of change are left out: data may be moved.
  """
  names = [pathlib.PurePath(path).name for path in data.originals]
  sizes = np.stack([data.heights, data.widths])
  file_sizes, contents = data.size_and_byte_hashes
  found = {
    'name': data.name,
    'images': len(names),
    'names of files': _hash(os.fsencode('\0'.join(names))),
    _FILE_SIZES: _hash('\0'.join(file_sizes).encode()),
    'image sizes': _hash(np.asarray(sizes, '<i8').tobytes()),
    'labels': _hash(np.asarray(data.class_pixels, '<i8').tobytes()),
  }
  # Files in a bucket are not read. Their sizes are compared with those of files
  # that are, as data may be moved into a bucket, or out of one.
  if contents is not None:
    found[_CONTENTS] = _hash('\0'.join(contents).encode())
  return found


def listed(data: Any) -> list[str]:
  """Returns the images of a `data.manifest.Manifest`, for people.

  Their paths below the folder that holds all of them.
  """
  folder = os.path.dirname(os.path.commonprefix(data.originals))
  return [
    os.fsencode(os.path.relpath(path, folder or '.')).decode('utf8', 'replace')
    for path in data.originals
  ]


def _hash(content: bytes) -> str:
  return hashlib.sha256(content).hexdigest()[:16]


def data_changes(
  starts: Sequence[Mapping[str, Any]], data: Mapping[str, Any]
) -> list[str]:
  """Returns what differs between the data of the last start and of this one.

  Args:
    starts: of the manifest; those of earlier versions record no data, or less.
    data: `describe_data` by part: source, target, evaluation.
  """
  before: Mapping[str, Any] = next(
    (s['data'] for s in reversed(starts) if 'data' in s), {}
  )
  found = []
  for part in data.keys() & before.keys():
    old, new = before[part], data[part]
    if old['images'] != new['images']:
      found.append(
        f'{part}: {old["images"]} images before, {new["images"]} now'
      )
      continue
    kinds = [kind for kind in new if old.get(kind, new[kind]) != new[kind]]
    if _CONTENTS in kinds and _FILE_SIZES in kinds:
      kinds.remove(_FILE_SIZES)
    if kinds:
      found.append(f'{part}: other {", ".join(kinds)} than before')
  return sorted(found)


def check_weights(
  path: pathlib.Path,
  manifest: Manifest,
  weights: Mapping[str, Any] | None,
) -> None:
  """Raises ValueError for other start weights than those of the first start.

  A feature distance reads them at every start, and `main` on the hub moves on.

  Args:
    path: of the manifest, for the message.
    manifest: of the run.
    weights: those of this start, see `models.weights.Provenance`.
  """
  starts = manifest['starts']
  if not starts or 'weights' not in starts[0]:
    return
  first = starts[0]['weights']
  if _identity(first) != _identity(weights):
    raise ValueError(
      f'{path} belongs to a run from other weights: config.model.weights: '
      f'expected {_described(first)}, got {_described(weights)}; name the file '
      'of the first start (of a file on the hub: its commit, @REVISION), or '
      'use a new --workdir'
    )


def _identity(weights: Mapping[str, Any] | None) -> tuple[str, str]:
  """Returns what identifies start weights, wherever they lie."""
  weights = weights or {}
  return weights.get('sha256', ''), weights.get('part', '')


def _described(weights: Mapping[str, Any] | None) -> str:
  """Describes start weights for a message."""
  sha256, part = _identity(weights)
  if not weights or not sha256:
    return 'none'
  commit = f', commit {weights["commit"]}' if weights.get('commit') else ''
  return f'SHA-256 {sha256}{f" of part {part}" if part else ""}{commit}'


def check_data(path: pathlib.Path, changes: Sequence[str], config: Any) -> None:
  """Raises ValueError for changed data unless `data.allow_changes` is set."""
  if changes and not config['data'].get('allow_changes', False):
    raise ValueError(
      f'{path} belongs to a run on other data: {"; ".join(changes)}. Put the '
      'data back, use a new --workdir, or train on with '
      '--config.data.allow_changes=True'
    )


def _saved_steps(path: pathlib.Path) -> list[int]:
  """Returns the steps of the checkpoints beside a manifest."""
  folder = path.parent / 'checkpoints'
  return [int(p.name) for p in folder.glob('*') if p.name.isdecimal()]


def read(path: pathlib.Path) -> dict[str, Any]:
  """Reads the manifest of a run; ValueError with the way out if it is none."""
  text = path.read_text(errors='replace')
  try:
    manifest = json.loads(text)
  except (ValueError, RecursionError):
    manifest = None
  if isinstance(manifest, dict) and {'config', 'starts'} <= set(manifest):
    return manifest
  found = 'something else' if text.strip() else 'an empty file'
  way_out = 'use another --workdir'
  steps = _saved_steps(path)
  if steps:
    way_out = (
      f'remove it to resume from step {max(steps)} with the config of '
      'that run, which cannot be compared then, or use a new --workdir'
    )
  raise ValueError(
    f'{path}: expected the manifest of a run, got {found}; {way_out}'
  )
