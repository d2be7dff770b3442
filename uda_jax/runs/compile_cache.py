"""The folder of compiled programs, kept from one start to the next.

JAX finds a program there by a hash of its code, its compiler options and the
kind of device. XLA also compiles for the very CPU (instruction set, number of
cores), which that hash leaves out: each kind of machine has a subfolder.

Several processes may use the folder. An entry that a killed process has left
half written is reported by JAX (a warning) and compiled again.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import hashlib
import json
import os
import pathlib
import platform
import time
from typing import Any, NamedTuple

from absl import logging
import jax
from jax.experimental.compilation_cache import compilation_cache

from uda_jax import cores
from uda_jax import files

_VARIABLE = 'JAX_COMPILATION_CACHE_DIR'
_LEAST_SECONDS = 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'
_HIT = '/jax/compilation_cache/cache_hits'


@contextlib.contextmanager
def using(folder: str) -> Iterator[pathlib.Path | None]:
  """Keeps the programs that are compiled inside in a folder.

  Args:
    folder: `config.compile_cache`; '' keeps none. A folder that the environment
      variable JAX_COMPILATION_CACHE_DIR names takes precedence.

  Yields:
    The folder in use, None without one. One that cannot be written (no space in
    a home folder, none in a container) is named in a warning, and not used.
  """
  if chosen := os.environ.get(_VARIABLE):
    # JAX also takes a bucket, in which no times are recorded.
    yield None if '://' in chosen else pathlib.Path(chosen).absolute()
    return
  if not folder:
    yield None
    return
  path = pathlib.Path(folder).expanduser().absolute() / machine()
  try:
    path.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    _warn(error)
    yield None
    return
  values: dict[str, Any] = {'jax_compilation_cache_dir': str(path)}
  if _LEAST_SECONDS not in os.environ:
    # A start compiles dozens of programs of a few tenths of a second.
    values['jax_persistent_cache_min_compile_time_secs'] = 0.1
  before = {name: getattr(jax.config, name) for name in values}
  _set(values)
  try:
    yield path
  finally:
    _set(before)


def _warn(error: OSError) -> None:
  logging.warning(
    'config.compile_cache: cannot be written (%s), so that programs are '
    'compiled anew at each start; name another folder',
    error,
  )


def _set(values: dict[str, Any]) -> None:
  for name, value in values.items():
    jax.config.update(name, value)
  # JAX looks at these once, when it compiles for the first time.
  compilation_cache.reset_cache()


def machine() -> str:
  """Returns the name of this kind of machine: platform and a hash of its CPU.

  The number of cores is part of it: XLA divides sums among them, so that a
  program compiled for others may round in another order.
  """
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:  # not Linux
    lines = []
  # The first core's: x86 names 'flags', ARM 'Features'.
  cpu = {
    key: next((x for x in lines if x.startswith(key)), '')
    for key in ('model name', 'flags', 'Features', 'CPU part')
  }
  facts = [platform.machine(), platform.processor(), cpu, cores.count()]
  return f'{jax.default_backend()}-{_digest(facts)}'


def _digest(facts: Any) -> str:
  text = json.dumps(facts, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:12]


class Compiled(NamedTuple):
  """A compiled program.

  Attributes:
    function: the program.
    seconds: how long tracing and compiling it took.
    tracing: the part of them that made the program, which no cache saves.
    loaded: whether it was in the compile cache.
  """

  function: jax.stages.Compiled
  seconds: float
  tracing: float
  loaded: bool

  def __str__(self) -> str:
    how = 'read from the compile cache' if self.loaded else 'compiled'
    return (
      f'{how} in {self.seconds:.0f}s, {self.tracing:.0f}s of it tracing; it '
      f'plans {self.gib():.1f} GiB of memory'
    )

  def gib(self) -> float:
    """Returns the memory of a device that the program plans, in GiB."""
    return planned_bytes(self.function) / 2**30


def planned_bytes(program: jax.stages.Compiled) -> int:
  """Returns the memory of a device that a program plans.

  Arguments, what it computes on the way and results; those that overwrite an
  argument count once.
  """
  stats = program.memory_analysis()
  assert stats is not None  # XLA has it for every platform here
  return (
    stats.argument_size_in_bytes
    + stats.temp_size_in_bytes
    + stats.output_size_in_bytes
    - stats.alias_size_in_bytes
  )


class Compiler:
  """Compiles a function, and records the time for the next start.

  `<folder>/seconds/HASH.json` holds the seconds of the last time, `compiled`
  and `loaded` (from the cache); the hash is that of `facts`.
  """

  def __init__(self, folder: pathlib.Path | None, facts: Any):
    """Reads the recorded times.

    Args:
      folder: the compile cache; None: nothing is read or written.
      facts: JSON values that the time depends on (network, sizes).
    """
    name = f'{_digest([facts, jax.__version__])}.json'
    self._path = folder and folder / 'seconds' / name
    self._measured = _read(self._path)

  def expected(self) -> str:
    """Returns the time of earlier compilations as text, '' if unknown."""
    took = {kind: f'{value:.0f}s' for kind, value in self._measured.items()}
    if 'compiled' not in took:
      return ''
    loaded = took.get('loaded', 'less')
    return (
      f'about {took["compiled"]} on this machine, {loaded} if the compile '
      'cache has it'
    )

  def compile(self, function: jax.stages.Wrapped, *args: Any) -> Compiled:
    """Compiles a jitted function for these arguments (arrays or shapes)."""
    start = time.monotonic()
    lowered = function.lower(*args)
    tracing = time.monotonic() - start
    hits: list[str] = []

    def listen(event: str, **_) -> None:
      if event == _HIT:
        hits.append(event)

    jax.monitoring.register_event_listener(listen)
    try:
      compiled = lowered.compile()
    finally:
      jax.monitoring.unregister_event_listener(listen)
    seconds = time.monotonic() - start
    self._measured['loaded' if hits else 'compiled'] = seconds
    if self._path is not None and jax.process_index() == 0:
      try:
        files.write_atomically(self._path, files.to_json(self._measured))
      except OSError as error:
        _warn(error)
    return Compiled(compiled, seconds, tracing, bool(hits))


def _read(path: pathlib.Path | None) -> dict[str, float]:
  if path is None or not path.is_file():
    return {}
  try:
    return dict(json.loads(path.read_text()))
  except (OSError, ValueError):
    return {}
