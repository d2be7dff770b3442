"""Named random streams."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from uda_jax import rng

bits = jax.random.key_data


def test_streams_depend_on_name_and_key_only():
  key = jax.random.key(0)
  keys = rng.streams(key, 'mix', 'augment')
  assert list(keys) == ['mix', 'augment']
  # Neither on their order nor on which other streams there are.
  np.testing.assert_array_equal(bits(keys['mix']), bits(rng.stream(key, 'mix')))
  assert (bits(keys['mix']) != bits(keys['augment'])).any()
  other = rng.stream(jax.random.key(1), 'mix')
  assert (bits(keys['mix']) != bits(other)).any()


def test_another_process_draws_the_same():
  program = (
    'import jax; from uda_jax import rng; print(jax.random.key_data('
    "rng.stream(jax.random.key(0), 'mix')).tolist())"
  )
  printed = subprocess.run(
    [sys.executable, '-c', program], text=True, capture_output=True, check=True
  ).stdout
  assert printed.strip() == str(
    bits(rng.stream(jax.random.key(0), 'mix')).tolist()
  )


def test_names_must_differ():
  with pytest.raises(ValueError, match='differ'):
    rng.streams(jax.random.key(0), 'mix', 'mix')
