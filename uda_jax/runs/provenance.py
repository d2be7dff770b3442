"""Writes manifest.json: config, versions, git revision, devices of each start.

The manifest keeps the config of the first start; a resumed run must have the
same one.
"""

from __future__ import annotations

from collections.abc import Mapping
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
from typing import Any

from absl import logging
import jax

from uda_jax import files
from uda_jax import parallel
from uda_jax.runs import upgrade

# Fields that a resumed run may change: logging, checkpoints, devices, folders.
FREE_FIELDS = (
  'log',
  'checkpoint.every',
  'devices',
  'data.root',
  'data.cache_dir',
  'compile_cache',
  'model.starts_from',
)

# Differing fields that a message lists.
_SHOWN = 5

_PACKAGES = (
  'jax',
  'jaxlib',
  'flax',
  'optax',
  'orbax-checkpoint',
  'numpy',
  'ml-collections',
  'clu',
  'tensorflow',
  'tensorflow-cpu',
  'tensorflow-datasets',
  'pillow',
)


def run_manifest(
  workdir: os.PathLike | str, config: Any, extra: Mapping[str, Any]
) -> dict[str, Any]:
  """Writes `<workdir>/manifest.json`, or adds a start to it.

  All processes call this; the first one writes.

  Args:
    workdir: the run's directory.
    config: the resolved ConfigDict.
    extra: further JSON values of this start: hashes of weights, counts of
      images.

  Returns:
    The manifest.

  Raises:
    ValueError: the directory belongs to a run with another config (other than
      in `FREE_FIELDS`); the message names the fields.
  """
  path = pathlib.Path(workdir) / 'manifest.json'
  config = json.loads(config.to_json_best_effort())
  manifest = {'config': config, 'starts': []}
  if path.exists():
    manifest = _read(path)
    _check_same_run(path, manifest['config'], config)
  # Nobody writes before all have read.
  parallel.barrier('manifest')
  start = _start(manifest['config'], config, extra)
  _warn_of_other_machine([*manifest['starts'], start])
  manifest['starts'].append(start)
  if jax.process_index() == 0:
    files.write_atomically(path, files.to_json(manifest))
  return manifest


def check_resumable(workdir: os.PathLike | str, config: Any) -> None:
  """Raises ValueError if a directory holds a run with another config.

  Args:
    workdir: any directory; one without a manifest is free.
    config: a ConfigDict; fields in `FREE_FIELDS` may differ.
  """
  path = pathlib.Path(workdir) / 'manifest.json'
  if path.exists():
    new = json.loads(config.to_json_best_effort())
    _check_same_run(path, _read(path)['config'], new)


def _warn_of_other_machine(starts: list[dict[str, Any]]) -> None:
  """Logs a warning if the devices differ from those of the first start.

  They, and the number of CPU cores, decide the order in which sums are rounded.
  """
  first, last = (dict(start['devices']) for start in (starts[0], starts[-1]))
  if last['platform'] != 'cpu':
    for devices in (first, last):
      devices.pop('cpu_cores', None)
  if first != last:
    logging.warning(
      'this start has %s, the first had %s: the run continues, but its results '
      'are not those of the first machine to the last bit',
      last,
      first,
    )


def _read(path: pathlib.Path) -> dict[str, Any]:
  try:
    manifest = json.loads(path.read_text())
  except ValueError:
    manifest = None
  if not isinstance(manifest, dict) or {'config', 'starts'} - set(manifest):
    raise ValueError(
      f'{path}: expected the manifest of a run, got something '
      'else; use another --workdir'
    )
  return manifest


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


def _differences(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
  """Returns the fields that differ and matter, by dotted name: (old, new)."""
  old, new = (_flat(upgrade.comparable(config)) for config in (old, new))
  pairs = {
    name: tuple(
      config.get(name, upgrade.LATER.get(name, 'absent'))
      for config in (old, new)
    )
    for name in sorted(old.keys() | new.keys())
  }
  return {name: (a, b) for name, (a, b) in pairs.items() if a != b}


def _check_same_run(path: pathlib.Path, old: Any, new: Any) -> None:
  found = [
    f'config.{name}: expected {a!r} as at the first start, got {b!r}'
    for name, (a, b) in _differences(old, new).items()
    if not any(f'{name}.'.startswith(f'{free}.') for free in FREE_FIELDS)
  ]
  if found:
    shown = '; '.join(found[:_SHOWN])
    more = len(found) - _SHOWN
    raise ValueError(
      f'{path} belongs to a run with another config: {shown}'
      + (f'; and {more} more fields' if more > 0 else '')
      + '. Use a new --workdir, or the config of that run'
    )


def _start(
  first_config: Any, config: Any, extra: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns the entry of one start."""
  devices = jax.devices()
  return {
    'date': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'command': sys.argv,
    'seed': config.get('seed'),
    'changed_fields': {
      name: new for name, (_, new) in _differences(first_config, config).items()
    },
    'git': _git(),
    'python': platform.python_version(),
    'platform': platform.platform(),
    'packages': _versions(),
    'devices': {
      'platform': devices[0].platform,
      'kind': devices[0].device_kind,
      'count': len(devices),
      'processes': jax.process_count(),
      'cpu_cores': cores(),
    },
    **extra,
  }


def cores() -> int:
  """Returns the number of CPU cores of this process, as XLA counts them."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _versions() -> dict[str, str]:
  versions = {}
  for name in _PACKAGES:
    try:
      versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return versions


def _git() -> dict[str, Any] | None:
  """Returns the revision of the project's checkout, None outside of one."""
  root = pathlib.Path(__file__).resolve().parents[2]

  def git(*command):
    return subprocess.run(
      ['git', '-C', root, *command], check=True, text=True, capture_output=True
    ).stdout.strip()

  try:
    # An installed copy may lie inside the checkout of something else.
    if pathlib.Path(git('rev-parse', '--show-toplevel')).resolve() != root:
      return None
    return {
      'revision': git('rev-parse', 'HEAD'),
      'dirty': bool(git('status', '--porcelain', '-uno')),
    }
  except (OSError, subprocess.CalledProcessError):
    return None
