"""Numbers of things as people write them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
  """Returns a number with its noun: '1 image', '2 images', '0 images'.

  Args:
    number: of the things, 0 or more.
    noun: for one of them, with a plural in -s.
  """
  return f'{number} {noun}' if number == 1 else f'{number} {noun}s'
