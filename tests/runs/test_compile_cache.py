"""Tests of the folder of compiled programs."""

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from uda_jax.runs import compile_cache

# A process of its own: JAX also keeps what it has compiled in memory.
PROGRAM = """
import sys
import jax, jax.numpy as jnp
from uda_jax.runs import compile_cache

function = jax.jit(lambda x: jnp.sin(x) @ x)
with compile_cache.using(sys.argv[1]) as folder:
  compiler = compile_cache.Compiler(folder, ['net'])
  print(compiler.expected())
  made = compiler.compile(function, jax.ShapeDtypeStruct((8, 8), jnp.float32))
print(made.loaded, made.function(jnp.ones((8, 8))).sum())
print(jax.config.jax_compilation_cache_dir)
"""


@pytest.fixture
def start(monkeypatch):
  """Runs the program in a process; returns the lines that it prints."""
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR', raising=False)
  monkeypatch.setenv('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')

  def run(folder):
    done = subprocess.run(
      [sys.executable, '-c', PROGRAM, str(folder)],
      text=True,
      capture_output=True,
      check=True,
    )
    return done.stdout.splitlines(), done.stderr

  return run


def test_the_second_process_loads_and_knows_the_time(start, tmp_path):
  (expected, first, after), _ = start(tmp_path / 'cache')
  assert expected == '' and first.startswith('False ') and after == 'None'
  (expected, second, _), _ = start(tmp_path / 'cache')
  known = r'about \d+s on this machine, {} if the compile cache has it'
  assert re.fullmatch(known.format('less'), expected)
  assert second == first.replace('False', 'True')
  (expected, _, _), _ = start(tmp_path / 'cache')
  assert re.fullmatch(known.format(r'\d+s'), expected)


def test_a_torn_entry_is_compiled_again(start, tmp_path):
  (_, first, _), _ = start(tmp_path / 'cache')
  [entry] = (tmp_path / 'cache').glob('*/jit__lambda*-cache')
  entry.write_bytes(entry.read_bytes()[:100])
  (_, again, _), errors = start(tmp_path / 'cache')
  assert again == first and 'Error reading persistent' in errors


def test_no_folder_keeps_nothing(start, tmp_path):
  (expected, first, _), _ = start('')
  assert expected == '' and first.startswith('False ')
  assert not list(tmp_path.iterdir())


def test_the_environment_takes_precedence(tmp_path, monkeypatch):
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(tmp_path / 'mine'))
  before = jax.config.jax_compilation_cache_dir
  with compile_cache.using(str(tmp_path / 'config')) as folder:
    assert folder == tmp_path / 'mine'
    assert jax.config.jax_compilation_cache_dir == before
  assert not (tmp_path / 'config').exists()


def test_a_bucket_is_not_taken_for_a_folder(monkeypatch):
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', 'gs://bucket/compiled')
  with compile_cache.using('') as folder:
    assert folder is None


def test_a_folder_that_cannot_be_written_ends_no_run(
  tmp_path, monkeypatch, caplog
):
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR', raising=False)
  with compile_cache.using('/proc/none') as folder:
    assert folder is None
  assert 'config.compile_cache: cannot be written' in caplog.text

  def full(*_):
    raise OSError(28, 'No space left on device')

  caplog.clear()
  monkeypatch.setattr(compile_cache.files, 'write_atomically', full)
  with compile_cache.using(str(tmp_path)) as folder:
    compiler = compile_cache.Compiler(folder, ['net'])
    made = compiler.compile(jax.jit(lambda x: x + 1), jnp.ones(2))
  assert made.function(jnp.ones(2)).sum() == 4
  assert 'No space left' in caplog.text


def test_another_number_of_cores_has_a_folder_of_its_own(monkeypatch):
  here = compile_cache.machine()
  assert here == compile_cache.machine() and here.startswith('cpu-')
  monkeypatch.setattr(compile_cache.cores, 'count', lambda: 999)
  assert compile_cache.machine() != here


def test_compiled_is_what_jit_computes():
  function = jax.jit(lambda x: jnp.tanh(x) * 3)
  x = jnp.linspace(-1, 1, 7)
  made = compile_cache.Compiler(None, []).compile(function, x)
  assert (made.function(x) == function(x)).all() and made.seconds > 0
