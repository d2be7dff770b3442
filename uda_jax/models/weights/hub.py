"""Files of the Hugging Face hub: hf://OWNER/NAME/FILE[@REVISION].

Without a revision: the newest one, `main`. A file is downloaded once, into the
hub's own cache (HF_HOME), and compared with the hash that the hub states.
Nothing in it is executed: it is read as any other weight file. Tokens are those
of `hf auth login` or HF_TOKEN; they are sent to the hub and shown nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
import hashlib
import pathlib
import re
from typing import Any, NamedTuple

from absl import logging

from uda_jax.models.weights import sharded

FORM = 'hf://OWNER/NAME/FILE[@REVISION]'
_INSTALL = "pip install 'uda_jax[hub]'"
# pathlib makes one slash of two.
_ADDRESS = re.compile(
  r'hf:/{1,2}(?P<repo>[^/@#\s]+/[^/@#\s]+)'
  r'(?:/(?P<file>[^@#]+))?(?:@(?P<revision>[^#\s]+))?'
)
_COMMIT = re.compile('[0-9a-f]{40}')
_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


class Address(NamedTuple):
  """A file of a repository; without a file: the repository.

  Attributes:
    repo: 'OWNER/NAME'.
    file: path in the repository, '' for all of it.
    revision: branch, tag or commit; '' for `main`.
  """

  repo: str
  file: str = ''
  revision: str = ''

  def __str__(self) -> str:
    file = f'/{self.file}' if self.file else ''
    revision = f'@{self.revision}' if self.revision else ''
    return f'hf://{self.repo}{file}{revision}'


class Fetched(NamedTuple):
  """A downloaded file, and the commit that it is of."""

  path: pathlib.Path
  commit: str


def is_address(text: str | pathlib.Path) -> bool:
  """Returns whether a text names something on the hub."""
  return str(text).startswith('hf:/')


def parse(text: str | pathlib.Path) -> Address:
  """Parses an address; ValueError if it is none."""
  match = _ADDRESS.fullmatch(str(text))
  if not match:
    raise ValueError(f'{text}: expected {FORM}')
  return Address(match['repo'], match['file'] or '', match['revision'] or '')


def fetch(text: str) -> Fetched:
  """Returns a weight file of the hub, with its declaration and shards beside.

  A second call in the same process gives the same commit.

  Args:
    text: an address.

  Raises:
    ValueError: in one line: no such repository, revision or file, no access, no
      connection and nothing in the cache, or a damaged file.
    ImportError: huggingface_hub is not installed.
  """
  address = parse(text)
  if not address.file:
    raise ValueError(
      f'{text}: expected {FORM}, the revision last, got no file of '
      f'{address.repo}'
    )
  return _fetch(address)


def fetch_folder(text: str | pathlib.Path, names: Sequence[str]) -> Fetched:
  """Returns a folder with files of a repository, all of one commit.

  Args:
    text: an address without a file.
    names: of the files.

  Raises:
    ValueError, ImportError: as of `fetch`.
  """
  address = parse(text)
  if address.file:
    raise ValueError(
      f'{address}: expected hf://OWNER/NAME[@REVISION], a network that was '
      f'pushed with export_weights --push, got the file {address.file}'
    )
  first = _fetch(address._replace(file=names[0]))
  for name in names[1:]:
    _fetch(Address(address.repo, name, first.commit))
  return Fetched(first.path.parent, first.commit)


@functools.lru_cache
def _fetch(address: Address) -> Fetched:
  library = client(address)
  cached = _in_cache(library, address)
  if cached is not None and _COMMIT.fullmatch(address.revision):
    return _checked(address, cached, '')  # A commit never changes.
  try:
    etag, commit = _look_up(library, address)
  except ConnectionError as error:
    return _without_network(library, address, cached, error)
  try:
    # The declaration first: with the file in the cache it is there, too.
    _download_optional(library, address, f'{address.file}.json', commit)
    path = pathlib.Path(
      library.hf_hub_download(
        address.repo, address.file, revision=address.revision or None
      )
    )
    for name in sharded.names(path) if sharded.is_index(path) else ():
      folder = pathlib.PurePosixPath(address.file).parent
      library.hf_hub_download(address.repo, str(folder / name), revision=commit)
  except (library.errors.HTTPError, OSError) as error:
    raise ValueError(
      f'{address}: the download failed ({short(error)}); nothing of it is '
      'used, start again'
    ) from error
  return _checked(address, Fetched(path, commit), etag)


def forget() -> None:
  """Forgets which commits addresses stood for so far in this process."""
  _fetch.cache_clear()


def client(address: Address) -> Any:
  """Returns the package huggingface_hub; ImportError with the way out."""
  try:
    import huggingface_hub
    import huggingface_hub.errors
  except ImportError as error:
    raise ImportError(
      f'{address}: the package huggingface_hub is not installed; needs: '
      f'{_INSTALL}'
    ) from error
  return huggingface_hub


def _in_cache(library: Any, address: Address) -> Fetched | None:
  """Returns the file of the last known commit of a revision, None without."""
  revision = address.revision or None
  try:
    found = library.try_to_load_from_cache(
      address.repo, address.file, revision=revision
    )
  except ValueError as error:  # Names that cannot be: a path outwards, ...
    raise ValueError(f'{address}: {short(error)}') from error
  if not isinstance(found, str):
    return None
  path = pathlib.Path(found)
  depth = len(pathlib.PurePosixPath(address.file).parts)
  return Fetched(path, path.parts[-depth - 1])


def _look_up(library: Any, address: Address) -> tuple[str, str]:
  """Returns hash and commit of a file as the hub states them.

  Raises:
    ConnectionError: the hub cannot be reached.
    ValueError: it refuses.
  """
  revision = address.revision or None
  try:
    found = library.get_hf_file_metadata(
      library.hf_hub_url(address.repo, address.file, revision=revision)
    )
  except library.errors.HfHubHTTPError as error:
    status = error.response.status_code
    if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
      raise ConnectionError(f'the hub answers {status}') from error
    reason = _refusal(library, address, error)
    raise ValueError(f'{address}: {reason}') from error
  except (library.errors.HTTPError, OSError) as error:
    raise ConnectionError(short(error)) from error
  if not found.commit_hash or not found.etag:
    raise ValueError(
      f'{address}: expected the hub, got an answer without commit and hash; '
      'HF_ENDPOINT or a proxy names another server'
    )
  return found.etag, found.commit_hash


def _refusal(library: Any, address: Address, error: Any) -> str:
  """Returns what is wrong with an address that the hub refuses."""
  errors = library.errors
  if isinstance(error, errors.RevisionNotFoundError):
    return f'{address.repo} has no revision {address.revision or "main"!r}'
  if isinstance(error, errors.EntryNotFoundError):
    where = f'in revision {address.revision or "main"!r}'
    return f'{address.repo} has no file {address.file!r} {where}'
  if isinstance(error, errors.GatedRepoError):
    return (
      'the repository is gated: accept its terms on its page, then `hf auth '
      'login`'
    )
  return (
    f'no repository {address.repo!r}, or a private one that this account may '
    f'not read (status {error.response.status_code}); check the name, and '
    '`hf auth login` or HF_TOKEN'
  )


def _without_network(
  library: Any, address: Address, cached: Fetched | None, error: Exception
) -> Fetched:
  """Returns the file from the cache, with a warning; ValueError without."""
  if cached is None:
    raise ValueError(
      f'{address}: not in the cache, and the hub cannot be reached '
      f'({error}); start once with a connection, or copy the file and name it '
      'by its path'
    ) from error
  logging.warning(
    '%s: the hub cannot be reached (%s); taking commit %s from the cache',
    address,
    error,
    cached.commit,
  )
  declaration = f'{address.file}.json'
  known = library.try_to_load_from_cache(
    address.repo, declaration, revision=cached.commit
  )
  if known is None:
    logging.warning(
      '%s: what %s declares is not known without a connection',
      address,
      declaration,
    )
  return _checked(address, cached, '')


def _download_optional(
  library: Any, address: Address, file: str, commit: str
) -> None:
  """Downloads a file that a repository may lack."""
  try:
    library.hf_hub_download(address.repo, file, revision=commit)
  except library.errors.EntryNotFoundError:
    pass  # The cache records that there is none.


def _checked(address: Address, fetched: Fetched, etag: str) -> Fetched:
  """Returns a file whose content has the hash that the hub stated.

  Args:
    address: for the error.
    fetched: the file.
    etag: the hash: SHA-256 of large files, git's SHA-1 of small ones; '' takes
      it from the cache, which names contents by it.

  Raises:
    ValueError: it has another one.
  """
  content = fetched.path.resolve()
  expected = etag or content.name
  if len(expected) == hashlib.sha256().digest_size * 2:
    digest = hashlib.sha256()
  elif _COMMIT.fullmatch(expected):
    digest = hashlib.sha1(b'blob %d\0' % content.stat().st_size)
  else:  # A copy in a cache without links.
    return fetched
  with content.open('rb') as file:
    found = hashlib.file_digest(file, lambda: digest).hexdigest()
  if found != expected:
    raise ValueError(
      f'{address}: damaged in the cache: expected the hash {expected}, got '
      f'{found}; remove {content} and start again'
    )
  return fetched


def short(error: Exception) -> str:
  """Returns the first line of an error's message."""
  lines = [line for line in str(error).splitlines() if line.strip()]
  return lines[0].strip()[:200] if lines else type(error).__name__
