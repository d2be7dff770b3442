"""Several CPU devices for every test, and flags that count as parsed.

Tests are bound by compilation, not by running: most of XLA's optimisations are
off. The command-line tests run programs of their own, with all of them.
"""

from absl import flags
import jax
import pytest

jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_disable_most_optimizations', True)
flags.FLAGS.mark_as_parsed()


def pytest_collection_modifyitems(items):
  """One worker runs a file, whose fixtures it makes; golden files are many."""
  for item in items:
    if item.module.__name__ != 'test_golden':
      item.add_marker(pytest.mark.xdist_group(item.module.__name__))
