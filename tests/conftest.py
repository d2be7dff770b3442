"""Several CPU devices for every test, and flags that count as parsed.

Tests are bound by compilation, not by running: most of XLA's optimisations are
off. The command-line tests run programs of their own, with all of them.
"""

from absl import flags
import jax
import pytest
from xdist import scheduler

jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_disable_most_optimizations', True)
flags.FLAGS.mark_as_parsed()


class _Files(scheduler.LoadFileScheduling):
  """One worker runs a file, whose fixtures it makes; golden files are many."""

  def _split_scope(self, nodeid):
    if nodeid.startswith('tests/test_golden.py'):
      return nodeid
    return super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  """Takes the place of --dist."""
  return _Files(config, log)


@pytest.fixture(scope='module', autouse=True)
def _programs_are_dropped():
  """A worker would keep every program it ever compiled, gigabytes of them."""
  yield
  jax.clear_caches()
