"""A compilation in a process of its own, which can be stopped."""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import pathlib
import tempfile
import time
from typing import Any

from benchmarks import compiled_program
from uda_jax import cli

# Without a device there is nothing to time kernels on; the others shorten
# compilation and do not change memory.
_GPU_FLAGS = (
  '--xla_gpu_autotune_level=0',
  '--xla_gpu_enable_triton_gemm=false',
  '--xla_llvm_disable_expensive_passes=true',
  '--xla_gpu_disable_gpuasm_optimizations=true',
)


def _child(program: tuple, out: str) -> None:
  """Compiles a program in a process of its own, which can be stopped."""

  def save(known: dict[str, Any]) -> None:
    pathlib.Path(out).write_text(json.dumps(known))

  try:
    save(compiled_program.facts(compiled_program.Program(*program), save))
  except ValueError as error:
    save({'stage': 'failed', 'error': str(error)})


def _environment(
  program: compiled_program.Program, dump: str, kernels: bool
) -> dict[str, str]:
  """Returns the environment of the process that compiles."""
  flags = []
  if program.device not in ('cpu', 'v5e'):
    flags = list(_GPU_FLAGS)
  if program.device != 'cpu' and not kernels:
    flags += [f'--xla_dump_to={dump}', '--xla_dump_hlo_as_text']
    flags += ['--xla_dump_hlo_module_re=jit_(update|function)']
  own = os.environ.get('XLA_FLAGS', '').split()
  return {
    'JAX_PLATFORMS': 'cpu',
    'JAX_ENABLE_COMPILATION_CACHE': 'false',
    'XLA_FLAGS': ' '.join([*own, *flags]),
  }


def compile_one(
  program: compiled_program.Program, *, minutes: float, kernels: bool = False
) -> dict[str, Any]:
  """Returns the record of a program.

  Args:
    program: the program.
    minutes: after which it is stopped.
    kernels: whether those of the chip are compiled, too.
  """
  begin = time.monotonic()
  with tempfile.TemporaryDirectory() as folder:
    out, dump = pathlib.Path(folder, 'facts'), pathlib.Path(folder, 'dump')
    process = _start(program, out, _environment(program, str(dump), kernels))
    found = None
    try:
      while process.is_alive() and time.monotonic() < begin + 60 * minutes:
        process.join(2.0)
        if found := compiled_program.from_dump(dump):
          break
    finally:
      late = process.is_alive()
      process.kill()
      process.join()
    known = json.loads(out.read_text()) if out.exists() else {}
  if not late and process.exitcode and not found:
    raise cli.Failed(
      f'{program.config}: {program.key}: the compiler ended with exit code '
      f'{process.exitcode}; its message, if any, is above'
    )
  record = program._asdict() | known
  record['date'] = datetime.date.today().isoformat()
  record['wall_minutes'] = round((time.monotonic() - begin) / 60, 2)
  if known.get('stage') in ('compiled', 'failed'):
    return record
  if found:
    return record | found
  after = known.get('stage', 'started')
  return record | {'stage': 'stopped', 'after': after, 'minutes': minutes}


def _start(
  program: compiled_program.Program,
  out: pathlib.Path,
  environment: dict[str, str],
) -> multiprocessing.process.BaseProcess:
  """Starts the process; XLA reads its flags from the environment."""
  process = multiprocessing.get_context('spawn').Process(
    target=_child, args=(tuple(program), str(out))
  )
  old = dict(os.environ)
  os.environ.update(environment)
  try:
    process.start()
  finally:
    os.environ.clear()
    os.environ.update(old)
  return process
