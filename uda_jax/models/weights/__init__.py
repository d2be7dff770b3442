"""Weights from foreign files: read, never executed."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any

import numpy as np

from uda_jax import types
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import metadata
from uda_jax.models.weights import parts
from uda_jax.models.weights import pth
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import state_dict

Tensors = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Importer:
  """A weight file and how it goes into a network.

  Attributes:
    path: the file, or 'FILE#PART', see `parts.locate`.
    preprocessing: name of the network's pixel preprocessing, which must be
      that of the weights.
    choose: from all tensors of one network of the file to those that belong to
      ours, and the naming function for them.
  """

  path: pathlib.Path
  preprocessing: str
  choose: Callable[[Tensors], tuple[Tensors, state_dict.NameOf]]


@dataclasses.dataclass(frozen=True)
class Provenance:
  """Where loaded weights came from; `dataclasses.asdict` suits a manifest.

  Attributes:
    path: the file.
    sha256: of the file's bytes.
    loaded: number of tensors that the network takes from it. All of those
      that the importer chooses are taken, or loading fails.
    preprocessing: name of the pixel preprocessing that belongs to them.
    part: which network of the file, '' for the only one.
    spelling: how the file names its tensors, see `spellings.SPELLINGS`.
    declared: what is declared or known of the file, see `declared`.
  """

  path: str
  sha256: str
  loaded: int
  preprocessing: str
  part: str = ''
  spelling: str = ''
  declared: dict[str, Any] = dataclasses.field(default_factory=dict)

  def __str__(self) -> str:
    part = f'#{self.part}' if self.part else ''
    trained_on = self.declared.get('trained_on', 'not declared')
    return (
      f'loaded {self.loaded} of {self.loaded} tensors of {self.path}{part} '
      f'(sha256 {self.sha256}; trained on: {trained_on})'
    )


def read(path: str | pathlib.Path) -> Tensors:
  """Returns the tensors of a weight file by name.

  The format is told from the first bytes, not from the name: PyTorch's zip
  and its older format, and safetensors.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise ValueError(f'{path}: no such weight file.')
  with path.open('rb') as file:
    head = file.read(16)
  for matches, reader in READERS:
    if matches(head):
      return reader(path)
  raise ValueError(
    f'{path}: not a weight file of a known format (PyTorch .pth or '
    f'safetensors); it begins with {head!r}.'
  )


# What tells a format by the first 16 bytes of a file, and its reader.
READERS: tuple[tuple[Callable[[bytes], bool], Callable], ...] = (
  (pth.is_zip, pth.read_zip),
  (pth.is_legacy, pth.read_legacy),
  (safetensors.matches, safetensors.read),
)


def choose(importer: Importer) -> tuple[Tensors, state_dict.NameOf]:
  """Reads a file; returns what of it a network takes, and how it is named."""
  location, tensors = _network(importer)
  try:
    return importer.choose(tensors)
  except ValueError as error:
    raise ValueError(f'{location}: {error}') from error


def load(importer: Importer, variables: types.Variables) -> types.Variables:
  """Returns a network's variables, those of the file in place of its own."""
  tensors, name_of = choose(importer)
  return state_dict.load(
    tensors, variables, name_of, source=str(importer.path)
  )[0]


def provenance(importer: Importer) -> Provenance:
  """Returns where the weights of an importer come from."""
  location, tensors = _network(importer)
  chosen, _ = importer.choose(tensors)
  counted = [n for n in chosen if not n.endswith(state_dict.COUNTER)]
  spelling = key_maps.recognise(tensors)
  digest = metadata.sha256(location.path)
  return Provenance(
    str(location.path),
    digest,
    len(counted),
    importer.preprocessing,
    location.part,
    spelling.name if spelling else '',
    metadata.read(location.path, digest),
  )


def check(importer: Importer, *, allow_target_labels: bool) -> None:
  """Raises where what is told of the weights speaks against their use.

  Args:
    importer: of the weights.
    allow_target_labels: whether they may have seen labels of the target.
  """
  path = parts.locate(importer.path).path
  if not path.is_file():
    raise ValueError(f'{path}: no such weight file.')
  found = metadata.read(path, metadata.sha256(path))
  metadata.check_target_labels(path, found, allowed=allow_target_labels)
  metadata.check_preprocessing(
    str(path),
    importer.preprocessing,
    {metadata.beside(path).name: found.get('preprocessing', '')},
  )


def _network(importer: Importer) -> tuple[parts.Location, Tensors]:
  """The wanted network's tensors, as the file names them."""
  location = parts.locate(importer.path)
  tensors = parts.take(read(location.path), location)
  spelling = key_maps.recognise(tensors)
  if spelling is not None:
    metadata.check_preprocessing(
      str(location),
      importer.preprocessing,
      {f'spelling {spelling.name}': spelling.preprocessing},
    )
  return location, tensors
