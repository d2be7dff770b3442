"""What JAX keeps to make programs of, and the programs that it has made."""

import functools
import os
import pathlib

import jax
from jax._src.interpreters import mlir

_make_context = mlir.make_ir_context
# Bytes of this process above which golden files drop their programs.
_MUCH = 1.5 * 2**30


def share_context() -> None:
  """Lets all programs from now on share one MLIR context.

  JAX makes one for each program, which takes a fifth of the time of a small
  one. A shared one keeps the constants of its programs, hence a new one for
  each file of tests.
  """
  mlir.make_ir_context = functools.cache(_make_context)


def drop() -> None:
  """Drops compiled programs, and the context."""
  jax.clear_caches()
  share_context()


def drop_if_many() -> None:
  """Drops them if this process has grown large."""
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  if pages * os.sysconf('SC_PAGE_SIZE') > _MUCH:
    drop()
