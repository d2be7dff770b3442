"""Reads a trained network from the directory of its run."""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

import jax
import ml_collections

from uda_jax import models
from uda_jax import types
from uda_jax.models import adapters
from uda_jax.runs import adapted
from uda_jax.runs import lineage
from uda_jax.runs import networks
from uda_jax.runs import packed
from uda_jax.runs import resume
from uda_jax.runs import stored
from uda_jax.runs import upgrade

# How often a network is read that is replaced meanwhile.
_TRIES = 5
# Blocks of a config without which no network can be read.
_BLOCKS = ('model', 'data', 'eval')
# What reading a file of other content raises.
_NO_MANIFEST = (
  ValueError,
  LookupError,
  TypeError,
  AttributeError,
  RecursionError,
)


class Trained(NamedTuple):
  """A trained network with its config and classes.

  Attributes:
    config: the config of the run.
    class_names: names of the classes.
    palette: one (red, green, blue) per class.
    network: functions of the network.
    variables: its variables.
    step: after how many steps they were stored; None: that is not known.
  """

  config: ml_collections.ConfigDict
  class_names: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]
  network: types.Network
  variables: types.Variables
  step: int | None = None


def _tuples(tree: Any) -> Any:
  """Converts the lists of JSON to the tuples of configs."""
  if isinstance(tree, dict):
    return {key: _tuples(value) for key, value in tree.items()}
  return tuple(map(_tuples, tree)) if isinstance(tree, list) else tree


def read_manifest(workdir: pathlib.Path | str) -> dict[str, Any]:
  """Reads the manifest of a run.

  Args:
    workdir: the run's directory, or what `packed.directory` takes.

  Returns:
    'config' of the last start in the current fields, 'classes' with names and
    palette, and 'started_from', see `lineage.started_from`.

  Raises:
    FileNotFoundError: the directory has no manifest.
    ValueError: the manifest is malformed.
  """
  path = packed.directory(workdir) / 'manifest.json'
  if not path.is_file():
    raise FileNotFoundError(
      f'{workdir}: expected the directory of a run '
      '(--workdir of uda_jax.main), found no '
      'manifest.json'
    )
  try:
    manifest = json.loads(path.read_text())
    config = _of_last_start(manifest)
    classes = manifest['starts'][-1]['classes']
    for tree, parts in ((config, _BLOCKS), (classes, ('names', 'palette'))):
      for name in parts:
        tree[name]
    return {
      'config': config,
      'classes': classes,
      'started_from': lineage.started_from(manifest),
    }
  except _NO_MANIFEST as error:
    raise ValueError(
      f'{path}: expected the manifest of a run, with config and '
      f'classes, got something else ({error!r})'
    ) from error


def _of_last_start(manifest: dict[str, Any]) -> dict[str, Any]:
  """Returns the config of a run as of its last start, in today's fields.

  Later starts may change how a network sees images (`data.eval_image_size`),
  how it is scored, where files are, and the length of the run.
  """
  config = upgrade.upgrade(manifest['config'])
  changed = manifest['starts'][-1].get('changed_fields', {})
  for field, value in changed.items():
    *blocks, name = field.split('.')
    block = config
    for key in blocks:
      block[key] = dict(block.get(key) or {})
      block = block[key]
    if value == resume.ABSENT:
      block.pop(name, None)
    else:
      block[name] = value
  return config


def read_config(workdir: pathlib.Path | str) -> ml_collections.ConfigDict:
  """Returns a run's config with the current fields; errors as of `load`."""
  manifest = read_manifest(workdir)
  return ml_collections.ConfigDict(_tuples(manifest['config']))


def reported(config: ml_collections.ConfigDict) -> str:
  """Returns which network a run reports: 'student', 'teacher' or 'best'."""
  return 'best' if config.eval.checkpoint == 'best' else config.eval.network


def load_variables(
  workdir: pathlib.Path | str,
  which: str,
  config: ml_collections.ConfigDict,
  like: types.Variables,
  *,
  field: str,
  new: models.Modules = frozenset(),
) -> types.Variables:
  """Reads the variables of one network of a run.

  Args:
    workdir: the run's directory, or what `packed.directory` takes.
    which: 'student', 'teacher' or 'best'; '' = the one that the run reports.
    config: of the run.
    like: variables of the network that is wanted.
    field: the config field or flag that names the run, for messages.
    new: modules that are not read: their arrays stay those of `like`.

  Raises:
    ValueError: there is no such network, or it has other tensors.
  """
  folder = packed.directory(workdir)
  if packed.is_packed(folder):
    return packed.load_variables(
      folder, which, config, like, field=field, new=new
    )
  has_base = 'optim' in config and adapters.rule(config.optim)
  if has_base and not (folder / adapted.FILE).is_file():
    raise ValueError(
      f'{field}: expected {folder / adapted.FILE}, the frozen arrays of a run '
      'with adapters, found none; copy it with the checkpoints'
    )
  return networks.load(
    folder, which or reported(config), like, field=field, new=new
  )


def load(workdir: pathlib.Path | str, which: str = '') -> Trained:
  """Reads a network of a run.

  Args:
    workdir: the run's directory, or what `packed.directory` takes.
    which: 'student', 'teacher' or 'best'; '' = the one that the run reports.

  Returns:
    The network with its variables on the first device. Files that the config
    names (pretrained weights, data) are not needed.
  """
  workdir = packed.directory(workdir)
  manifest = read_manifest(workdir)
  config = read_config(workdir)
  config.model.weights = ''
  names, palette = (
    _tuples(manifest['classes'][key]) for key in ('names', 'palette')
  )
  network = models.build(config, len(names))
  # Shapes of parameters do not depend on the size of the image.
  size = next(
    s
    for s in (config.data.crop_size, config.data.eval_image_size, (224, 224))
    if all(s)
  )
  shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), tuple(size)))
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  like = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), shapes
  )
  variables, step = _settled(workdir, which, config, like)
  return Trained(config, names, palette, network, variables, step)


def _settled(
  folder: pathlib.Path,
  which: str,
  config: ml_collections.ConfigDict,
  like: types.Variables,
) -> tuple[types.Variables, int | None]:
  """Reads a network, and its step, of a run that may be training.

  A checkpoint is removed when the run has saved the next one.
  """
  load = lambda: load_variables(folder, which, config, like, field='--workdir')
  if packed.is_packed(folder):
    return load(), packed.step(folder)
  newest = lambda: stored.step(folder, which or reported(config))
  for left in reversed(range(_TRIES)):
    step = newest()
    try:
      variables = load()
    except (ValueError, OSError):
      if not left or newest() == step:
        raise
    else:
      if newest() == step:
        break
      step = None
  return variables, step


def described(trained: Trained, which: str) -> str:
  """Returns such as 'student at step 300 of 800', for lines and reports.

  Args:
    trained: the network.
    which: as `load` was given.
  """
  name, steps = which or reported(trained.config), trained.config.steps
  if trained.step is None:
    return name
  # In rounds, the config may leave the length to the data.
  return f'{name} at step {trained.step}' + (f' of {steps}' if steps else '')
