"""The examples in the docstrings of the public array functions."""

import doctest
import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import uda_jax

ROOT = pathlib.Path(uda_jax.__file__).parent
# Folders and modules, relative to the package.
PLACES = (
  'ops',
  'losses',
  'augment',
  'pseudo_labels.py',
  'labels.py',
  'rng.py',
  'evaluate/metrics.py',
  'train/teacher.py',
  'train/schedules.py',
)


def _modules():
  for place in PLACES:
    path = ROOT / place
    for file in sorted(path.glob('*.py')) if path.is_dir() else [path]:
      parts = file.relative_to(ROOT.parent).with_suffix('').parts
      yield '.'.join(parts).removesuffix('.__init__')


@pytest.mark.parametrize('name', list(_modules()))
def test_examples(name):
  module = importlib.import_module(name)
  # Four digits: the last ones differ from processor to processor.
  with np.printoptions(precision=4, suppress=True):
    failed, _ = doctest.testmod(
      module,
      extraglobs={'jax': jax, 'jnp': jnp, 'np': np},
      optionflags=doctest.NORMALIZE_WHITESPACE,
    )
  assert not failed, 'see the printed differences'
