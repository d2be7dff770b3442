"""House rules of the public array functions."""

import importlib
import inspect
import pathlib
import re

import pytest

import uda_jax

ROOT = pathlib.Path(uda_jax.__file__).parent
# Such as [B, H, W, C] or [..., 3].
SHAPE = re.compile(r'\[[^\]]*\]')


def _functions():
  """All public functions of the rooms that work on arrays."""
  files = [
    *ROOT.glob('losses/*.py'),
    *ROOT.glob('augment/*.py'),
    ROOT / 'pseudo_labels.py',
  ]
  for file in sorted(files):
    parts = file.relative_to(ROOT.parent).with_suffix('').parts
    module = importlib.import_module('.'.join(parts))
    for name, function in inspect.getmembers(module, inspect.isfunction):
      if not name.startswith('_') and function.__module__ == module.__name__:
        yield pytest.param(function, id=f'{module.__name__}.{name}')


FUNCTIONS = list(_functions())


def _takes_arrays(signature):
  """Whether a parameter or the result is an array."""
  return 'jax.Array' in str(signature)


@pytest.mark.parametrize('function', FUNCTIONS)
def test_documented_annotated_and_ordered(function):
  signature = inspect.signature(function)
  parameters = list(signature.parameters.values())
  assert signature.return_annotation is not inspect.Signature.empty
  assert all(p.annotation is not p.empty for p in parameters)
  if not _takes_arrays(signature):
    return
  assert SHAPE.search(function.__doc__), 'the docstring names no shape'
  names = [p.name for p in parameters]
  assert 'rng' not in names and 'key' not in names[1:]
  for p in parameters:
    # What has a default is an option, and so are numbers and choices.
    if p.default is not p.empty or p.annotation in ('int', 'str', 'bool'):
      assert p.kind is p.KEYWORD_ONLY, f'{p.name} must be keyword-only'


def test_the_rooms_are_not_empty():
  assert len(FUNCTIONS) > 15
