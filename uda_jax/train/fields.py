"""Fields of a config that nothing reads, and values of another type.

On a command line there are no other fields than the config's own, and values
get their types. A config file can set anything: a misspelled field would change
nothing, and a pattern in place of a tuple of patterns would be its letters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
import difflib
from typing import Any

import ml_collections

from uda_jax import models
from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import lse
from uda_jax.configs.blocks import networks

# Blocks of a run beside those of `common.run`.
_BLOCKS = ('data', 'model', 'optim', 'schedule', 'teacher', 'method')
# Blocks whose names are the user's, or whose fields are checked elsewhere.
_OPEN = ('data.source', 'data.target', 'data.evaluation', 'eval.subsets')
# Fields that some networks read, beside those of `models.FIELDS`.
_MODEL = (
  'name starts_from allow_target_labels mean std matmul_precision heads '
  'reference dilations patch enlarge final_norm mask_token'
).split()
# A field of the network that is so similar to a known one is a misspelled one.
_ALIKE = 0.85


# Types that others are mistaken for, and what is said of them; numbers are
# checked in `ranges`.
_TYPES: dict[type, tuple[str, Any]] = {
  bool: ('True or False', bool),
  str: ('a text', str),
  tuple: ('a tuple', (tuple, list)),
}


def check(config: ml_collections.ConfigDict) -> None:
  """Raises ValueError, in one line, for what a config file has set wrong.

  Args:
    config: the whole config of a run. Fields of `method` and of data sets are
      checked by their own tables.
  """
  for path, block, known in _blocks(config):
    for name in block:
      if name not in known:
        raise ValueError(_message(f'config{path}', name, known))
  # Encoders of one's own may have fields of their own.
  known = {*models.COMMON_FIELDS, *_MODEL}.union(*models.FIELDS.values())
  for name in config.model:
    if name not in known and difflib.get_close_matches(name, known, 1, _ALIKE):
      raise ValueError(_message('config.model', name, known))
  _check_texts(config, 'config')


def check_types(config: ml_collections.ConfigDict) -> None:
  """Raises ValueError, in one line, for a value of another type than usual.

  Args:
    config: the whole config of a run.
  """
  for path, block, known in _blocks(config):
    _check_types(f'config{path}', block, known)
  model = networks.dinov2(size='b', weights='')
  _check_types('config.model', config.model, model)


def _blocks(
  config: ml_collections.ConfigDict,
) -> Iterator[tuple[str, Any, Collection[str]]]:
  """Yields path, block and known fields of each block with fixed fields."""
  run = common.run(steps=1)
  yield '', config, {*run, *_BLOCKS}
  optim = common.adamw(weight_decay=0.0)
  optim.update(common.sgd(weight_decay=0.0))
  whole = {
    **{name: run[name] for name in run},
    'data': benchmarks.block({}, {}, {}),
    'optim': optim,
    'schedule': common.poly(learning_rate=0.0),
    'teacher': common.no_teacher(),
    'rounds': lse.rounds(window=(1, 1)),
  }
  for name, known in whole.items():
    yield from _below(f'.{name}', config.get(name), known)


def _below(
  path: str, block: Any, known: Any
) -> Iterator[tuple[str, Any, Collection[str]]]:
  """Yields a block and the blocks in it that have fixed fields."""
  are_blocks = [
    isinstance(x, ml_collections.ConfigDict) for x in (block, known)
  ]
  if not all(are_blocks) or path[1:] in _OPEN:
    return
  yield path, block, known
  for name in known:
    yield from _below(f'{path}.{name}', block.get(name), known[name])


def _check_types(path: str, block: Any, known: Any) -> None:
  """Raises ValueError for a value of another type than the default's."""
  if not isinstance(known, ml_collections.ConfigDict):
    return
  for name, default in known.items():
    expected, kind = _TYPES.get(type(default), ('', object))
    if name in block and not isinstance(block[name], kind):
      value = block[name]
      hint = (
        f'; a tuple of one is ({value!r},)' if kind == (tuple, list) else ''
      )
      raise ValueError(
        f'{path}.{name}: expected {expected}, got {value!r}{hint}'
      )


def _message(path: str, name: str, known: Collection[str]) -> str:
  near = [f'{path}.{n}' for n in difflib.get_close_matches(name, known)]
  hint = f'did you mean {" or ".join(near)}? ' if near else ''
  return (
    f'{path}.{name}: there is no such field, so nothing reads it; {hint}{path} '
    f'has the fields {", ".join(sorted(known))}'
  )


def _check_texts(node: Any, field: str) -> None:
  """Raises ValueError for 'False' in quotes, which would be true."""
  if isinstance(node, ml_collections.ConfigDict):
    for name in node:
      _check_texts(node[name], f'{field}.{name}')
  elif node in ('True', 'False'):
    raise ValueError(f'{field}: expected {node} without quotes, got {node!r}')
