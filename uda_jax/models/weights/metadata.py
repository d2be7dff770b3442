"""Known and declared facts about a weight file.

`FILE.json` beside FILE declares where its weights come from. The converter
writes it; for any other file it may be written by hand. All fields are
optional:

  trained_on           text: the data that the weights were trained on
  saw_target_labels    true where labels of a target were among them
  preprocessing        name of the pixel preprocessing that belongs to them
  licence              text
  classes              names of the classes of its classifier, in order
  sha256               of FILE, so that the two stay together

Further fields are information only: `source`, `source_sha256`, `part`,
`spelling`, `model`, `tensors`, `step` (of the run that trained them).
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any, NamedTuple

from uda_jax import files
from uda_jax.models.weights import once
from uda_jax.models.weights import sharded

# Fields with a type.
TYPES = {
  'trained_on': str,
  'saw_target_labels': bool,
  'preprocessing': str,
  'licence': str,
  'classes': list,
  'sha256': str,
}


class Known(NamedTuple):
  """A published file.

  Attributes:
    trained_on: the data.
    preprocessing: name of the pixel preprocessing.
    saw_target_labels: whether labels of a usual target are among the data.
  """

  trained_on: str
  preprocessing: str
  saw_target_labels: bool = False


WAY_OUT = (
  'set config.model.resnet (deeplab_v2) or config.model.preprocessing '
  '(fcn8s_vgg); other networks have one preprocessing'
)

# By the first digits of the SHA-256, which publishers put into file names.
KNOWN = {
  # DeepLab_resnet_pretrained_init-f81d91e8.pth
  'f81d91e8': Known('ImageNet/COCO, converted from Caffe', 'CAFFE'),
  # resnet101-5d3b4d8f.pth and its later form resnet101-63fe2227.pth
  '5d3b4d8f': Known('ImageNet-1k', 'IMAGENET'),
  '63fe2227': Known('ImageNet-1k', 'IMAGENET'),
  # dinov3_convnext_{tiny,small,base,large}_pretrain_lvd1689m-*.pth
  **dict.fromkeys(
    ('21b726bb', '296db49d', '801f2ba9', '61fa432d'),
    Known('LVD-1689M', 'IMAGENET'),
  ),
}


@once.kept
def sha256(path: pathlib.Path) -> str:
  """Returns the SHA-256 of a file's bytes in hexadecimal.

  For an index of shards: of the bytes of the index and of all its shards, in
  the order of their names.
  """
  parts = [path, *sharded.shards(path)] if sharded.is_index(path) else [path]
  digest = hashlib.sha256()
  for part in parts:
    with part.open('rb') as file:
      while chunk := file.read(1 << 20):
        digest.update(chunk)
  return digest.hexdigest()


def beside(path: pathlib.Path) -> pathlib.Path:
  """Returns the path of the declaration of a weight file."""
  return path.with_name(path.name + '.json')


def read(path: pathlib.Path, digest: str) -> dict[str, Any]:
  """Returns the declared facts about a weight file, else the known ones.

  Args:
    path: of the weight file.
    digest: its SHA-256.

  Returns:
    The fields by name; {} if nothing is declared or known.

  Raises:
    ValueError: the declaration is malformed or another file's.
  """
  where = beside(path)
  if not where.is_file():
    known = KNOWN.get(digest[:8])
    return known._asdict() if known else {}
  try:
    found = json.loads(where.read_text())
  except (ValueError, RecursionError) as error:
    raise ValueError(f'{where}: expected JSON, got {error}') from error
  if not isinstance(found, dict):
    raise ValueError(f'{where}: expected a JSON object, got {found!r:.80}')
  for field, kind in TYPES.items():
    if field in found and type(found[field]) is not kind:
      raise ValueError(
        f'{where}: {field}: expected a {kind.__name__}, got '
        f'{found[field]!r:.80}'
      )
  if found.get('sha256', digest) != digest:
    raise ValueError(
      f'{where}: belongs to a file of SHA-256 {found["sha256"]}, but '
      f'{path} has {digest}; remove the one that is not meant.'
    )
  return found


def write(path: pathlib.Path, found: dict[str, Any]) -> None:
  """Writes the declaration beside a weight file, with the file's SHA-256."""
  files.write_atomically(
    beside(path), files.to_json(found | {'sha256': sha256(path)})
  )


def check_target_labels(
  path: pathlib.Path | str, found: dict[str, Any], *, allowed: bool
) -> None:
  """Raises ValueError if weights saw target labels and may not.

  Args:
    path: of the weight file or run, for the error.
    found: declared or known facts about it.
    allowed: `config.model.allow_target_labels`.
  """
  if found.get('saw_target_labels') and not allowed:
    raise ValueError(
      f'{path}: these weights saw labels of the target (trained on '
      f'{found.get("trained_on", "data that is not declared")}), so a run that '
      'starts from them does not adapt without labels; '
      'config.model.allow_target_labels=True allows it'
    )


def check_preprocessing(
  source: str, expected: str, found: dict[str, str]
) -> None:
  """Raises ValueError if a file's preprocessing is not the network's.

  Args:
    source: of the weights, for the error.
    expected: name of the network's preprocessing.
    found: name of the file's preprocessing by where it is stated; '' if not.
  """
  for stated, name in found.items():
    if name not in ('', expected):
      raise ValueError(
        f'{source}: expected weights for {expected} pixels, the preprocessing '
        f'of the network, got weights for {name} pixels ({stated}); {WAY_OUT}'
      )
