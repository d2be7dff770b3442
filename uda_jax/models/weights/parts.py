"""Networks in one file, and the choice of one.

A training checkpoint holds several: student, teacher, the frozen encoder.
`config.model.weights` names one after the file's name and a '#', which is
required if the file holds several.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib
from typing import NamedTuple

import numpy as np

from uda_jax.models.weights import hub
from uda_jax.models.weights import renaming

Tensors = renaming.Tensors

# Entries of a checkpoint that are networks. Moving averages are `shadow`, which
# PixMatch and EHTDI evaluate, and `..._ema` of timm's scripts. Other entries
# (`optimizer`, `meta`) hold none.
ENTRIES = ('state_dict', 'shadow', 'model', 'state_dict_ema', 'model_ema')
# Name prefixes of student, teacher and ImageNet encoder in one state dict of
# DAFormer and its successors; {copy: prefixes of its untrained modules}.
COPIES = {
  'model': (),
  'ema_model': (),
  'imnet_model': ('decode_head.', 'cls_head.', 'proj_head.'),
}
# Beside the copies: PiPa's patch heads, which no prediction needs.
BESIDE_COPIES = ('project.', 'classifier.')


class Location(NamedTuple):
  """A weight file, and the requested network of it.

  Attributes:
    path: the file, or its copy in the hub's cache.
    part: the network, '' for the only one.
    address: of a file of the hub, else ''.
    commit: of a file of the hub, else ''.
  """

  path: pathlib.Path
  part: str = ''
  address: str = ''
  commit: str = ''

  @property
  def file(self) -> str:
    """The file as a user names it."""
    return self.address or str(self.path)

  def __str__(self) -> str:
    return f'{self.file}#{self.part}' if self.part else self.file


def locate(text: str | pathlib.Path) -> Location:
  """Parses 'FILE' or 'FILE#PART'; ~ at the start is the home folder.

  A file of the hub (`hf://...`) is downloaded; errors as of `hub.fetch`.
  """
  text = os.path.expanduser(text)
  if hub.is_address(text):
    address, _, part = text.partition('#')
    return Location(*_of_hub(address, part))
  path, mark, part = text.rpartition('#')
  # A file's own name may have the mark.
  if not mark or pathlib.Path(text).is_file():
    return Location(pathlib.Path(text))
  return Location(pathlib.Path(path), part)


def _of_hub(address: str, part: str) -> tuple[pathlib.Path, str, str, str]:
  path, commit = hub.fetch(address)
  return path, part, address, commit


def networks(tensors: Mapping[str, np.ndarray]) -> dict[str, Tensors]:
  """Returns the networks of a file by name, '' for one without a name.

  Raises:
    ValueError: two tensors would get one name.
  """
  entries = {e: _under(tensors, f'{e}/') for e in ENTRIES}
  entries = {e: x for e, x in entries.items() if x} or {'': dict(tensors)}
  found: dict[str, Tensors] = {}
  for entry, content in entries.items():
    content = renaming.unwrap(content)
    copies = {c: _under(content, f'{c}.') for c in COPIES}
    copies = {c: x for c, x in copies.items() if x}
    if copies:
      whose = f'{entry}/' if len(entries) > 1 else ''
      found |= {whose + c: x for c, x in _copies(content, copies).items()}
    else:
      found[entry] = content
  return found


def take(tensors: Mapping[str, np.ndarray], location: Location) -> Tensors:
  """Returns the tensors of the requested network.

  Args:
    tensors: all tensors of the file.
    location: of the network.

  Raises:
    ValueError: the file has no such network, or several and none is named, or
      two tensors of one name.
  """
  try:
    found = networks(tensors)
  except ValueError as error:
    raise ValueError(f'{location}: {error}') from error
  if location.part in found:
    return found[location.part]
  if not location.part and len(found) == 1:
    return next(iter(found.values()))
  held = ', '.join(
    f'{part or "one without a name"} ({len(content)} tensors)'
    for part, content in found.items()
  )
  if location.part:
    raise ValueError(
      f'{location}: the file has no network {location.part!r}; it holds {held}.'
    )
  raise ValueError(
    f'{location}: the file holds {len(found)} networks: {held}. Say which, '
    f"such as '{location}#{next(iter(found))}'."
  )


def _under(tensors: Mapping[str, np.ndarray], prefix: str) -> Tensors:
  return {
    n.removeprefix(prefix): x
    for n, x in tensors.items()
    if n.startswith(prefix)
  }


def _copies(content: Tensors, copies: dict[str, Tensors]) -> dict[str, Tensors]:
  # Tensors of no copy go with each copy, which refuses them as unexpected.
  known = tuple(f'{c}.' for c in COPIES) + BESIDE_COPIES
  rest = {n: x for n, x in content.items() if not n.startswith(known)}
  for c, copy in copies.items():
    if both := copy.keys() & rest.keys():
      raise ValueError(f'{c}.{min(both)} and {min(both)} are both {min(both)}')
  return {
    c: {n: x for n, x in copy.items() if not n.startswith(COPIES[c])} | rest
    for c, copy in copies.items()
  }
