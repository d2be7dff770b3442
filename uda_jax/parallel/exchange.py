"""Texts between the processes of a run, before any device is used."""

from __future__ import annotations

import itertools

import jax
from jax._src import distributed

_numbers = itertools.count()


def texts(text: str, timeout: int = 300) -> list[str]:
  """Returns the texts of all processes, in their order.

  All processes call this equally often.

  Args:
    text: of this process.
    timeout: seconds to wait for the others; TimeoutError after them.
  """
  state = distributed.global_state
  if state.client is None:
    return [text]
  key = f'uda_jax/exchange/{next(_numbers)}'
  state.client.key_value_set(f'{key}/{state.process_id}', text)
  found = []
  for process in range(state.num_processes):
    try:
      found.append(
        state.client.blocking_key_value_get(f'{key}/{process}', 1000 * timeout)
      )
    except jax.errors.JaxRuntimeError as error:
      if 'DEADLINE_EXCEEDED' not in str(error):
        raise
      raise TimeoutError(
        f'process {process} of {state.num_processes} gave no sign of life '
        f'within {timeout} s; its own messages may say why'
      ) from error
  return found
