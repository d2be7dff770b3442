"""The manifest of a network that leaves the directory of its run."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import ml_collections

from uda_jax import files
from uda_jax.export import weights_file
from uda_jax.models.weights import hub
from uda_jax.runs import packed
from uda_jax.runs import resume

# Folders of the machine that trained; nobody else's.
_LOCAL = ('data.root', 'data.cache_dir', 'compile_cache', 'warm_start.workdir')


def write(
  workdir: pathlib.Path, config: ml_collections.ConfigDict, folder: pathlib.Path
) -> dict[str, Any]:
  """Writes config and classes of a run; returns what it states of its data.

  Args:
    workdir: the run's directory.
    config: the run's.
    folder: for the file.
  """
  manifest = resume.read(packed.directory(workdir) / packed.MANIFEST)
  start = manifest['starts'][-1]
  kept = {
    'config': without_folders(config),
    'starts': [
      {
        'classes': start['classes'],
        'data': start.get('data', {}),
        # What the run itself started from.
        'warm_start': weights_file.started_from(workdir),
      }
    ],
  }
  files.write_atomically(folder / packed.MANIFEST, files.to_json(kept))
  return start.get('data', {})


def without_folders(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns a config as JSON values, without folders of this machine."""
  tree = json.loads(config.to_json_best_effort())
  for field in _LOCAL:
    *blocks, name = field.split('.')
    block = tree
    for key in blocks:
      block = block[key]
    block[name] = ''
  for part in tree['data'].values():
    # A data set, or a block of several.
    for record in (part, *part.values()) if isinstance(part, dict) else ():
      if isinstance(record, dict) and str(record.get('root')).startswith('/'):
        record['root'] = ''
  for block in (tree['model'], tree['model'].get('reference')):
    if block and not hub.is_address(block['weights']):
      block['weights'] = ''
  return tree
