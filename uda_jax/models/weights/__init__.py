"""Weight files of other programs: read, never executed."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any

import numpy as np

from uda_jax import types
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import metadata
from uda_jax.models.weights import once
from uda_jax.models.weights import parts
from uda_jax.models.weights import placeholders
from uda_jax.models.weights import pth
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import sharded
from uda_jax.models.weights import state_dict

Tensors = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Importer:
  """A weight file and the way its tensors enter a network.

  Attributes:
    path: the file, 'FILE#PART', or an address of the hub; see `parts.locate`.
    preprocessing: name of the network's pixel preprocessing, which must be
      that of the weights.
    choose: from all tensors of one network of the file to those that the
      network takes, and their naming function.
  """

  path: str | pathlib.Path
  preprocessing: str
  choose: Callable[[Tensors], tuple[Tensors, state_dict.NameOf]]


@dataclasses.dataclass(frozen=True)
class Provenance:
  """Origin of loaded weights; `dataclasses.asdict` is JSON for a manifest.

  Attributes:
    path: the file, or its address on the hub.
    sha256: of its bytes, see `metadata.sha256`.
    loaded: number of tensors that the importer chooses. The network takes all
      of them, or loading fails.
    preprocessing: name of the pixel preprocessing that belongs to them.
    part: which network of the file, '' for the only one.
    spelling: the file's tensor names, a row of `spellings.SPELLINGS`.
    declared: declared or known facts about the file, see `metadata`.
    commit: of a file of the hub: the revision that its address stood for.
  """

  path: str
  sha256: str
  loaded: int
  preprocessing: str
  part: str = ''
  spelling: str = ''
  declared: dict[str, Any] = dataclasses.field(default_factory=dict)
  commit: str = ''

  def __str__(self) -> str:
    part = f'#{self.part}' if self.part else ''
    commit = f'commit {self.commit}; ' if self.commit else ''
    trained_on = self.declared.get('trained_on', 'not declared')
    return (
      f'loaded {self.loaded} of {self.loaded} tensors of {self.path}{part} '
      f'({commit}sha256 {self.sha256}; trained on: {trained_on})'
    )


def read(path: str | pathlib.Path) -> Tensors:
  """Returns the tensors of a weight file by name.

  PyTorch's zip and its older format and safetensors are recognized by their
  first bytes, not by the file's name; an index of sharded safetensors
  (`*.safetensors.index.json`) by its name.

  Args:
    path: of the file.

  Raises:
    ValueError: the file is missing, damaged, or no weight file.
  """
  return dict(_read(pathlib.Path(path)))


@once.kept
def _read(path: pathlib.Path) -> Tensors:
  _check_exists(path)
  with path.open('rb') as file:
    head = file.read(placeholders.HEAD)
  placeholders.check(path, head)
  if sharded.is_index(path):
    return sharded.read(path)
  for matches, reader in READERS:
    if matches(head):
      sharded.check_whole(path)
      return reader(path)
  raise ValueError(
    f'{path}: not a weight file of a known format (PyTorch .pth or '
    f'safetensors); it begins with {head[:16]!r}'
  )


def _check_exists(path: pathlib.Path) -> None:
  if path.is_dir():
    raise ValueError(
      f'{path}: expected a weight file, got a folder; name the file'
    )
  if not path.is_file():
    raise ValueError(
      f'{path}: no such weight file; docs/weights.md lists the publishers'
    )


# (test of a file's first bytes, its reader)
READERS: tuple[tuple[Callable[[bytes], bool], Callable], ...] = (
  (pth.is_zip, pth.read_zip),
  (pth.is_legacy, pth.read_legacy),
  (safetensors.matches, safetensors.read),
)


def choose(importer: Importer) -> tuple[Tensors, state_dict.NameOf]:
  """Reads a file; returns the tensors for the network and their names."""
  return _choose(importer, *_network(importer))


def _choose(
  importer: Importer, location: parts.Location, tensors: Tensors
) -> tuple[Tensors, state_dict.NameOf]:
  try:
    return importer.choose(tensors)
  except ValueError as error:
    raise ValueError(f'{location}: {error}') from error


def load(importer: Importer, variables: types.Variables) -> types.Variables:
  """Returns a network's variables with the tensors of a file put in.

  Args:
    importer: of the file.
    variables: of the network; they stay where the file has no tensor for them.

  Raises:
    ValueError: the file cannot be read or does not fit.
  """
  location, tensors = _network(importer)
  chosen, name_of = _choose(importer, location, tensors)
  loaded = state_dict.load(
    chosen, variables, name_of, source=str(importer.path)
  )[0]
  # A file of another network is a misfit, whatever its pixels are.
  spelling = key_maps.recognize(tensors)
  if spelling is not None:
    metadata.check_preprocessing(
      str(location),
      importer.preprocessing,
      {f'spelling {spelling.name}': spelling.preprocessing},
    )
  return loaded


def provenance(importer: Importer) -> Provenance:
  """Returns the origin of the weights of an importer."""
  location, tensors = _network(importer)
  chosen, _ = importer.choose(tensors)
  counted = [n for n in chosen if not n.endswith(state_dict.COUNTER)]
  spelling = key_maps.recognize(tensors)
  digest = metadata.sha256(location.path)
  return Provenance(
    location.file,
    digest,
    len(counted),
    importer.preprocessing,
    location.part,
    spelling.name if spelling else '',
    metadata.read(location.path, digest),
    location.commit,
  )


def check(importer: Importer, *, allow_target_labels: bool) -> None:
  """Raises ValueError if declared or known facts forbid the use of a file.

  Args:
    importer: of the weights.
    allow_target_labels: whether they may have seen labels of the target.
  """
  location = parts.locate(importer.path)
  path = location.path
  _check_exists(path)
  found = metadata.read(path, metadata.sha256(path))
  metadata.check_target_labels(
    location.file, found, allowed=allow_target_labels
  )
  metadata.check_preprocessing(
    location.file,
    importer.preprocessing,
    {metadata.beside(path).name: found.get('preprocessing', '')},
  )


def _network(importer: Importer) -> tuple[parts.Location, Tensors]:
  """Returns the requested network's tensors by the names of the file."""
  location = parts.locate(importer.path)
  return location, parts.take(read(location.path), location)
