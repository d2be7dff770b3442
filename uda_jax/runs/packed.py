"""A network of a run in two files, as repositories of the hub hold it.

`manifest.json` has the config and the classes, as that of a run but without
folders of the machine; `model.safetensors` has the tensors, or
`delta.safetensors` those that a run with adapters trained. A folder with the
two, or hf://OWNER/NAME[@REVISION], stands where the directory of a run does.
"""

from __future__ import annotations

from collections.abc import Set
import json
import pathlib

import ml_collections

from uda_jax import models
from uda_jax import types
from uda_jax.models import pretrained
from uda_jax.models import weights
from uda_jax.models.weights import hub
from uda_jax.models.weights import metadata
from uda_jax.models.weights import state_dict
from uda_jax.runs import delta

MANIFEST = 'manifest.json'
WEIGHTS = 'model.safetensors'


def directory(workdir: pathlib.Path | str) -> pathlib.Path:
  """Returns the absolute directory of a run or of a packed network.

  Args:
    workdir: a path, or an address of the hub, whose two files are downloaded.

  Raises:
    ValueError, ImportError: as of `hub.fetch`.
  """
  if hub.is_address(workdir):
    return hub.fetch_folder(workdir, (MANIFEST, WEIGHTS)).path
  return pathlib.Path(workdir).expanduser().absolute()


def is_packed(folder: pathlib.Path) -> bool:
  """Returns whether a folder holds a packed network."""
  return any((folder / name).is_file() for name in (WEIGHTS, delta.FILE))


def _file(folder: pathlib.Path) -> pathlib.Path:
  is_delta = (folder / delta.FILE).is_file()
  return folder / (delta.FILE if is_delta else WEIGHTS)


def step(folder: pathlib.Path) -> int | None:
  """Returns after how many steps its network was stored, None if unknown."""
  declaration = metadata.beside(_file(folder))
  if not declaration.is_file():
    return None
  return json.loads(declaration.read_text()).get('step')


def load_variables(
  folder: pathlib.Path,
  which: str,
  config: ml_collections.ConfigDict,
  like: types.Variables,
  *,
  field: str,
  new: Set[tuple[str, ...]] = frozenset(),
) -> types.Variables:
  """Reads the variables of a packed network.

  Args:
    folder: that holds it.
    which: 'student', 'teacher' or 'best', which it must be; '' takes any.
    config: of its run; `config.model` is read.
    like: variables of the network that is wanted.
    field: the config field or flag that names the folder, for messages.
    new: paths of modules whose arrays stay those of `like`.

  Raises:
    ValueError: it is another network, damaged, or has other tensors.
  """
  path = _file(folder)
  is_delta = path.name == delta.FILE
  held = metadata.read(path, metadata.sha256(path)).get('network', '')
  if which and held and which != held:
    raise ValueError(
      f'{field}: expected the {which} of a run, got a folder with its {held} '
      f'alone: {folder}; ask for the {held}'
    )
  if is_delta:
    way_out = f'Use config.model of its run, or another {field}'
    return delta.load_variables(folder, like, way_out=way_out, new=new)
  name_of = models.NAMES.get(config.model.name, state_dict.dotted)
  importer = weights.Importer(
    path,
    models.preprocessing_name(config),
    lambda tensors: (tensors, name_of),
  )
  return weights.load(pretrained.without(importer, frozenset(new)), like)
