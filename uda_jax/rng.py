"""Named random streams: adding one does not change the others."""

from __future__ import annotations

import zlib

import jax


def stream(key: jax.Array, name: str) -> jax.Array:
  """Returns the key of a named stream.

  Args:
    key: a JAX key.
    name: any text; hashed by CRC-32, which is the same in every process (unlike
      Python's `hash`).

  Example:
    >>> key = jax.random.key(0)
    >>> bool(stream(key, 'mix') == stream(key, 'mix'))
    True
    >>> bool(stream(key, 'mix') == stream(key, 'blur'))
    False
  """
  return jax.random.fold_in(key, zlib.crc32(name.encode()))


def streams(key: jax.Array, *names: str) -> dict[str, jax.Array]:
  """Returns the keys of several named streams, see `stream`.

  Args:
    key: a JAX key.
    *names: names, all different.

  Returns:
    Name -> key.

  Raises:
    ValueError: a name occurs twice.

  Example:
    >>> sorted(streams(jax.random.key(0), 'mix', 'blur'))
    ['blur', 'mix']
  """
  if len(set(names)) != len(names):
    raise ValueError(f'names: expected different names, got {names}')
  return {name: stream(key, name) for name in names}
