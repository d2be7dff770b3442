"""Named random streams: a new consumer of randomness shifts no other one."""

from __future__ import annotations

import zlib

import jax


def stream(key: jax.Array, name: str) -> jax.Array:
  """Returns the key of one named stream.

  Args:
    key: a JAX key.
    name: any text; the same name gives the same stream in every process (its
      CRC-32, as Python's own `hash` differs from run to run).
  """
  return jax.random.fold_in(key, zlib.crc32(name.encode()))


def streams(key: jax.Array, *names: str) -> dict[str, jax.Array]:
  """Returns the keys of several streams by name; see `stream`."""
  if len(set(names)) != len(names):
    raise ValueError(f'random streams: names must differ, got {names}')
  return {name: stream(key, name) for name in names}
