"""Publishes a network of a run on the Hugging Face hub."""

from __future__ import annotations

import json
import pathlib
import re
import tempfile

from uda_jax import files
from uda_jax.export import card
from uda_jax.export import manifest_file
from uda_jax.export import weights_file
from uda_jax.models.weights import hub
from uda_jax.models.weights import metadata
from uda_jax.runs import packed
from uda_jax.runs import restore

_REPO = re.compile(r'[\w.-]+/[\w.-]+')


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
  data = manifest_file.write(workdir, trained.config, folder)
  results = packed.directory(workdir) / 'results.json'
  reports = json.loads(results.read_text()) if results.is_file() else None
  page = card.write(repo, trained, declared, data, reports)
  files.write_atomically(folder / 'README.md', page.encode())


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
