"""Several CPU devices for every test, and flags that count as parsed.

Tests are bound by compilation, not by running: most of XLA's optimisations are
off, and compiled programs are shared by all workers and by the commands that
they start.
"""

import collections
import gc
import importlib.metadata
import os
import pathlib
import shutil
import signal
import tempfile

_JAXLIB = tuple(
  int(part) for part in importlib.metadata.version('jaxlib').split('.')[:2]
)
_SETTINGS = {
  'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
  'JAX_NUM_CPU_DEVICES': '4',
  # Where in Python an operation stands; nobody looks it up here.
  'JAX_TRACEBACK_IN_LOCATIONS_LIMIT': '0',
  'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.2',
  'XLA_FLAGS': ' '.join(
    (
      os.environ.get('XLA_FLAGS', ''),
      # A worker has one core.
      '--xla_cpu_parallel_codegen_split_count=1',
      # The old way of emitting kernels takes a quarter off a test. Later
      # versions of jaxlib do not know the flag, and abort.
      '--xla_cpu_use_fusion_emitters=false' if _JAXLIB < (0, 11) else '',
    )
  ),
}
# Tracing makes millions of objects that live on; looking for garbage among them
# again and again takes a tenth of the time.
gc.set_threshold(100_000, 50, 100)
_PROGRAMS = 'JAX_COMPILATION_CACHE_DIR'
# The first process makes the folder, workers find it in their environment.
_own_programs = _PROGRAMS not in os.environ
if _own_programs:
  os.environ[_PROGRAMS] = tempfile.mkdtemp(prefix='uda_jax_programs_')
os.environ.update(_SETTINGS)

# JAX reads them when it is imported.
# ruff: noqa: E402
from absl import flags
import pytest
from xdist import scheduler

from tests import programs

flags.FLAGS.mark_as_parsed()

# A shell's background jobs ignore Ctrl-C, those of nohup the end of a terminal,
# and so would all that they start; the tests of signals send both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
  signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
  signal.signal(signal.SIGHUP, signal.SIG_DFL)


# What `make quick` leaves out (marker `slow`): golden vectors, whole runs, and
# files that took longest of those measured with `pytest --durations=0`. The
# names are the beginnings of paths below tests/.
_SLOW = (
  'data/test_folder_checks.py',
  'data/test_label_fraction.py',
  'data/test_pair_crops.py',
  'data/test_pipeline.py',
  'data/test_prepare.py',
  'data/test_real_files.py',
  'data/test_several.py',
  'evaluate/test_scoring.py',
  'evaluate/test_inference.py',
  'export/',
  'methods/',
  'models/test_convert.py',
  'models/test_convnets.py',
  'models/test_convnext.py',
  'models/test_dinov2.py',
  'models/test_dinov3.py',
  'models/test_eva02.py',
  'models/test_hrda.py',
  'models/test_networks.py',
  'models/test_transformers.py',
  'models/test_weights',
  'predict/',
  'runs/test_checkpoint.py',
  'test_check_cluster.py',
  'test_cli.py',
  'test_end_to_end.py',
  'test_family_run.py',
  'test_flops.py',
  'test_foundation_run.py',
  'test_golden.py',
  'test_input_pipeline.py',
  'test_launch',
  'test_notebook.py',
  'test_own_method.py',
  'test_package.py',
  'test_pair_kills.py',
  'test_processes.py',
  'test_several_sets.py',
  'test_tables.py',
  'train/test_interrupts.py',
  'train/test_rounds.py',
  'train/test_shares.py',
  'train/test_stopping.py',
)


# Files that run longest, the longest first, and with more tests the rest: no
# worker is left alone with one at the end. Golden files fill the gaps.
_LONG = (
  'test_pair_kills.py',
  'predict/test_predict.py',
  'test_notebook.py',
  'adapt/test_command.py',
  'test_end_to_end.py',
  'methods/test_encoder_combinations.py',
  'data/test_pipeline.py',
  'test_faults.py',
  'train/test_rounds.py',
  'test_package.py',
  'test_family_run.py',
  'test_foundation_run.py',
  'train/test_stopping.py',
  'models/test_networks.py',
)
_GOLDEN = 'test_golden.py'


def pytest_configure(config):
  """Declares the marker."""
  config.addinivalue_line('markers', 'slow: left out by `make quick`')


def pytest_collection_modifyitems(items):
  """Marks the tests that `make quick` leaves out; puts long files first."""
  tests = pathlib.Path(__file__).parent
  path = lambda item: item.path.relative_to(tests).as_posix()
  for item in items:
    if path(item).startswith(_SLOW):
      item.add_marker(pytest.mark.slow)
  sizes = collections.Counter(map(path, items))

  def place(item):
    name = path(item)
    if name in _LONG:
      return 0, _LONG.index(name)
    return (2, 0) if name == _GOLDEN else (1, -sizes[name], name)

  items.sort(key=place)


class _Files(scheduler.LoadFileScheduling):
  """Gives each test file to one worker, and each golden file to any."""

  def _split_scope(self, nodeid):
    if nodeid.startswith('tests/test_golden.py'):
      return nodeid
    return super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  """Takes the place of --dist."""
  config.option.loadscopereorder = False
  return _Files(config, log)


def pytest_unconfigure():
  """Removes the temporary folder."""
  if _own_programs:
    shutil.rmtree(os.environ[_PROGRAMS], ignore_errors=True)


@pytest.fixture(scope='module', autouse=True)
def _programs_are_dropped():
  """Drops compiled programs: a worker would keep gigabytes of them."""
  programs.share_context()
  yield
  programs.drop()
