"""Safetensors files in several shards, found by their index.

`NAME.safetensors.index.json` lists the shard of every tensor:

  {"metadata": {...}, "weight_map": {"conv1.weight": "NAME-00001-of-00002..."}}

All shards lie beside the index.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import pathlib
import re

import numpy as np

from uda_jax.models.weights import safetensors

SUFFIX = '.safetensors.index.json'
_SHARD = re.compile(r'(.+)-\d{5}-of-(\d{5})\.safetensors')


def is_index(path: pathlib.Path) -> bool:
  """Returns whether a file is an index, by its name."""
  return path.name.endswith(SUFFIX)


def check_whole(path: pathlib.Path) -> None:
  """Raises ValueError if a file is one shard of several, by its name."""
  match = _SHARD.fullmatch(path.name)
  if match and int(match[2]) > 1:
    raise ValueError(
      f'{path}: expected all tensors, got one of {int(match[2])} shards; name '
      f'the index {match[1]}{SUFFIX} instead'
    )


def names(path: pathlib.Path) -> list[str]:
  """Returns the sorted names of an index's shards; ValueError if malformed."""
  return sorted(set(_weight_map(path).values()))


def shards(path: pathlib.Path) -> list[pathlib.Path]:
  """Returns the shards of an index, sorted by name.

  Args:
    path: of the index.

  Raises:
    ValueError: the index is malformed or a shard is missing.
  """
  found = names(path)
  missing = [name for name in found if not (path.parent / name).is_file()]
  if missing:
    raise ValueError(
      f'{path}: expected {len(found)} shards beside it, missing '
      f'{", ".join(missing)}; download them into {path.parent}'
    )
  return [path.parent / name for name in found]


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Returns the tensors of all shards by name, as read-only arrays.

  Args:
    path: of the index.

  Raises:
    ValueError: the index is malformed, a shard is missing or damaged, or the
      shards do not hold exactly the tensors of the index.
  """
  weight_map = _weight_map(path)
  tensors: dict[str, np.ndarray] = {}
  for shard in shards(path):
    found = safetensors.read(shard)
    expected = {n for n, file in weight_map.items() if file == shard.name}
    if found.keys() != expected:
      name = min(found.keys() ^ expected)
      where = 'lacks' if name in expected else 'has, against the index,'
      raise ValueError(
        f'{path}: {shard.name} {where} {name}; download index and shards again'
      )
    tensors |= found
  return tensors


def _weight_map(path: pathlib.Path) -> Mapping[str, str]:
  try:
    index = json.loads(path.read_text())
  except (ValueError, RecursionError) as error:
    raise ValueError(f'{path}: expected JSON, got {error}') from error
  weight_map = index.get('weight_map') if isinstance(index, dict) else None
  if not isinstance(weight_map, dict) or not weight_map:
    raise ValueError(f"{path}: expected an object with a 'weight_map'")
  for name, file in weight_map.items():
    if not isinstance(file, str) or pathlib.PurePath(file).name != file:
      raise ValueError(
        f'{path}: {name}: expected the name of a file beside the index, got '
        f'{file!r:.80}'
      )
  return weight_map
