"""Writes manifest.json: config, versions, git revision, devices of each start.

The manifest keeps the config of the first start, and what later starts changed;
`resume` says what they may change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

from uda_jax import cores
from uda_jax import files
from uda_jax import parallel
from uda_jax import types
from uda_jax.runs import resume

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
  workdir: os.PathLike | str,
  config: types.Config,
  extra: Mapping[str, Any],
  once: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
  """Writes `<workdir>/manifest.json`, or adds a start to it.

  All processes call this; the first one writes.

  Args:
    workdir: the run's directory.
    config: the resolved ConfigDict.
    extra: further JSON values of this start: hashes of weights; `data`, see
      `resume.describe_data`.
    once: JSON values of the run, which its first start writes.

  Returns:
    The manifest.

  Raises:
    ValueError: the directory belongs to a run with another config, or on other
      data; the message names the fields, or what differs.
  """
  path = pathlib.Path(workdir) / 'manifest.json'
  config = json.loads(config.to_json_best_effort())
  manifest = {'config': config, 'starts': [], **(once or {})}
  if path.exists():
    manifest = resume.read(path)
    resume.check_config(path, manifest, config)
  changes = resume.data_changes(manifest['starts'], extra.get('data', {}))
  resume.check_data(path, changes, config)
  resume.check_weights(path, manifest, extra.get('weights'))
  # Nobody writes before all have read.
  parallel.barrier('manifest')
  start = _start(manifest['config'], config, extra)
  if changes:
    start['changed_data'] = changes
    logging.warning('this start has other data: %s', '; '.join(changes))
  steps = resume.last_steps(manifest)
  if manifest['starts'] and steps != config.get('steps'):
    logging.warning(
      'this start extends the run from %d to %d steps: from here on '
      'config.schedule is that of the longer run',
      steps,
      config['steps'],
    )
  _warn_of_other_machine([*manifest['starts'], start])
  manifest['starts'].append(start)
  if jax.process_index() == 0:
    files.write_atomically(path, files.to_json(manifest))
  return manifest


def check_resumable(workdir: os.PathLike | str, config: types.Config) -> None:
  """Raises ValueError if a directory holds a run with another config.

  Args:
    workdir: any directory; one without a manifest is free.
    config: a ConfigDict; it may differ as `resume.check_config` says.
  """
  path = pathlib.Path(workdir) / 'manifest.json'
  if path.exists():
    new = json.loads(config.to_json_best_effort())
    resume.check_config(path, resume.read(path), new)


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


def _start(
  first_config: Any, config: types.Config, extra: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns the entry of one start."""
  devices = jax.devices()
  return {
    'date': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'command': sys.argv,
    'seed': config.get('seed'),
    'changed_fields': {
      name: new
      for name, (_, new) in resume.differences(first_config, config).items()
    },
    'git': revision(),
    'python': platform.python_version(),
    'platform': platform.platform(),
    'packages': versions(),
    'devices': {
      'platform': devices[0].platform,
      'kind': devices[0].device_kind,
      'count': len(devices),
      'processes': jax.process_count(),
      'cpu_cores': cores.count(),  # as XLA counts them
    },
    **extra,
  }


def versions(names: Sequence[str] = _PACKAGES) -> dict[str, str]:
  """Returns the versions of packages, without those that are not installed.

  Args:
    names: on the package index; default: what decides what a run computes.
  """
  found = {}
  for name in names:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


def revision() -> dict[str, Any] | None:
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
