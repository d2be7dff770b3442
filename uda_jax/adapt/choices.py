"""Choices of a run, each with its reason and the flag that changes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Choice(NamedTuple):
  """A choice that was made for the user.

  Attributes:
    name: what is chosen.
    value: of it.
    reason: why.
    flag: that changes it; '' if the config file alone does.
  """

  name: str
  value: Any
  reason: str
  flag: str = ''

  def __str__(self) -> str:
    """Formats it as one line."""
    flag = f'  [{self.flag}]' if self.flag else ''
    value = self.value
    if isinstance(value, tuple) and len(value) == 2:
      value = f'{value[0]}x{value[1]}'
    return f'{self.name} {value}: {self.reason}{flag}'


def lines(choices: Sequence[Choice]) -> str:
  """Formats choices, one a line."""
  return '\n'.join(f'  {choice}' for choice in choices)
