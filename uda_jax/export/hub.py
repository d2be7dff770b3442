"""Publishes a network of a run on the Hugging Face hub."""

from __future__ import annotations

import json
import pathlib
import re
import tempfile
from typing import Any

import ml_collections

from uda_jax import files
from uda_jax.export import card
from uda_jax.export import weights_file
from uda_jax.models.weights import hub
from uda_jax.models.weights import metadata
from uda_jax.runs import packed
from uda_jax.runs import restore
from uda_jax.runs import resume

_REPO = re.compile(r'[\w.-]+/[\w.-]+')
# Folders of the machine that trained; nobody else's.
_LOCAL = ('data.root', 'data.cache_dir', 'compile_cache', 'warm_start.workdir')


def pack(
  workdir: pathlib.Path, network: str, folder: pathlib.Path, repo: str
) -> None:
  """Writes the files of a repository: weights, config, declaration, page.

  Args:
    workdir: the run's directory.
    network: 'student', 'teacher' or 'best'; '' = the one that the run reports.
    folder: for the files.
    repo: 'OWNER/NAME', for the page.
  """
  weights_file.write(workdir, network, folder / packed.WEIGHTS)
  declaration = metadata.beside(folder / packed.WEIGHTS)
  declared = json.loads(declaration.read_text())
  trained = restore.load(workdir, network)
  manifest = resume.read(packed.directory(workdir) / packed.MANIFEST)
  start = manifest['starts'][-1]
  kept = {
    'config': without_folders(trained.config),
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
  results = packed.directory(workdir) / 'results.json'
  reports = json.loads(results.read_text()) if results.is_file() else None
  page = card.write(repo, trained, declared, kept['starts'][0]['data'], reports)
  files.write_atomically(folder / 'README.md', page.encode())


def without_folders(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns a config as JSON values, without folders of this machine."""
  tree = json.loads(config.to_json_best_effort())
  for field in _LOCAL:
    *blocks, name = field.split('.')
    block = tree
    for key in blocks:
      block = block[key]
    block[name] = ''
  for record in tree['data'].values():
    if isinstance(record, dict) and record.get('root', '').startswith('/'):
      record['root'] = ''
  for block in (tree['model'], tree['model'].get('reference')):
    if block and not hub.is_address(block['weights']):
      block['weights'] = ''
  return tree


def push(
  workdir: pathlib.Path, network: str, repo: str, *, public: bool = False
) -> str:
  """Publishes a network; returns the address of its page.

  Args:
    workdir: the run's directory.
    network: see `pack`.
    repo: 'OWNER/NAME'; made if need be.
    public: whether everybody may see it.

  Raises:
    ValueError: bad name, no access, or a public repository without `public`.
    ImportError: huggingface_hub is not installed.
  """
  if not _REPO.fullmatch(repo):
    raise ValueError(f'--push: expected OWNER/NAME, got {repo!r}')
  library = hub.client(hub.Address(repo))
  with tempfile.TemporaryDirectory() as folder:
    pack(workdir, network, pathlib.Path(folder), repo)
    api = library.HfApi()
    try:
      api.create_repo(repo, private=not public, exist_ok=True)
      if not public and not api.repo_info(repo).private:
        raise ValueError(
          f'--push: expected a private repository, {repo} is public; --public '
          'publishes there'
        )
      done = api.upload_folder(
        repo_id=repo, folder_path=folder, commit_message='Upload a network'
      )
    except (library.errors.HTTPError, OSError) as error:
      raise ValueError(
        f'--push={repo}: the hub did not take it ({hub.short(error)}); check '
        'the name, and that `hf auth login` or HF_TOKEN has the right to write'
      ) from error
  return f'{hub.Address(repo)}@{done.oid}'
