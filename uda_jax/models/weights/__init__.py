"""Weights from foreign files: read, never executed."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import hashlib
import pathlib

import numpy as np

from uda_jax import state as state_lib
from uda_jax.models.weights import pth
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import torch_names

Tensors = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Importer:
  """A weight file and how it goes into a network.

  Attributes:
    path: the file.
    preprocessing: name of the pixel preprocessing that belongs to it.
    choose: from all tensors of the file to those that belong to the network
      and the naming function for them.
  """

  path: pathlib.Path
  preprocessing: str
  choose: Callable[[Tensors], tuple[Tensors, torch_names.NameOf]]


@dataclasses.dataclass(frozen=True)
class Provenance:
  """Where loaded weights came from; `dataclasses.asdict` suits a manifest.

  Attributes:
    path: the file.
    sha256: of the file's bytes.
    loaded: number of tensors that the network takes from it. All of those
      that the importer chooses are taken, or loading fails.
    preprocessing: name of the pixel preprocessing that belongs to them.
  """

  path: str
  sha256: str
  loaded: int
  preprocessing: str

  def __str__(self) -> str:
    return (
        f'loaded {self.loaded} of {self.loaded} tensors of {self.path} '
        f'(sha256 {self.sha256})'
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


def load(importer: Importer, net: state_lib.Net) -> state_lib.Net:
  """Returns a network's variables, those of the file in place of its own."""
  tensors, name_of = importer.choose(read(importer.path))
  return torch_names.load(tensors, net, name_of, source=str(importer.path))[0]


def provenance(importer: Importer) -> Provenance:
  """Returns where the weights of an importer come from."""
  tensors, _ = importer.choose(read(importer.path))
  with importer.path.open('rb') as file:
    digest = hashlib.file_digest(file, 'sha256').hexdigest()
  counted = [n for n in tensors if not n.endswith(torch_names.COUNTER)]
  return Provenance(
      str(importer.path), digest, len(counted), importer.preprocessing
  )
