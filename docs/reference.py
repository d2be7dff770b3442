"""Builds the API reference from the docstrings: `make docs`.

Usage: python -m docs.reference OUT
"""

import importlib
import inspect
import os
import pathlib
import pkgutil
import sys
import typing
import warnings

import flax.linen as nn
import jax
import pdoc

import uda_jax
from uda_jax import cli


def _resolve_constructors(module):
  """Evaluates the annotations of NamedTuples and of inherited fields.

  Constructors keep annotations as text, and pdoc looks the names up in the
  class's own module (NamedTuples: in none), not in that of its base.
  """
  for _, member in inspect.getmembers(module, inspect.isclass):
    if member.__module__ != module.__name__:
      continue
    if issubclass(member, tuple):
      member.__new__.__annotations__ = typing.get_type_hints(member)
    elif issubclass(member, nn.Module):
      hints = typing.get_type_hints(member)
      annotations = member.__init__.__annotations__
      annotations |= {n: hints[n] for n in annotations if n in hints}


def main(out):
  """Writes HTML pages to folder `out`; a warning of pdoc is an error."""
  # A package that data loading imports asks `uname` for the processor; without
  # this pdoc replaces subprocess while it imports.
  os.environ['PDOC_ALLOW_EXEC'] = '1'
  names = [
    found.name
    for found in pkgutil.walk_packages(uda_jax.__path__, 'uda_jax.')
    if not found.name.endswith('__main__')
  ]
  with cli.hidden_stderr():  # TensorFlow's first lines
    for name in names:
      _resolve_constructors(importlib.import_module(name))
  pdoc.render.configure(docformat='google', show_source=False)
  # Signatures would name jaxlib's private module.
  jax.Array.__module__, jax.Array.__qualname__ = 'jax', 'Array'
  warnings.filterwarnings('error', module='pdoc')
  # A function of JAX, the default of a field, whose annotations are private.
  warnings.filterwarnings('ignore', r'Error parsing .*\.bias_init\.')
  # `python -m uda_jax.configs` prints configs.
  pdoc.pdoc('uda_jax', '!uda_jax.configs.', output_directory=pathlib.Path(out))


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit(__doc__)
  main(sys.argv[1])
