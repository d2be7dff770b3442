"""A bad input: how it is made and given, and what the one line says."""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any, NamedTuple

from PIL import Image


class Case(NamedTuple):
  """A bad input.

  Attributes:
    name: of the test.
    run: makes the input in an empty folder and gives it to the library.
      Outputs go to `folder / 'out'`.
    line: pattern of the error: the file or field, and the way out.
  """

  name: str
  run: Callable[[pathlib.Path], Any]
  line: str


def lfs(path: pathlib.Path) -> None:
  """Writes a pointer of Git LFS."""
  path.write_text(
    'version https://git-lfs.github.com/spec/v1\noid sha256:4d7\nsize 9\n'
  )


def loop(path: pathlib.Path) -> None:
  """Writes a link to itself."""
  path.symlink_to(path)


def cut(path: pathlib.Path, size: int = 40) -> None:
  """Takes bytes off the end of a file."""
  path.write_bytes(path.read_bytes()[:-size])


def save(pixels, mode: str | None = None, **options):
  """Returns a function that writes pixels as an image file."""
  return lambda path: Image.fromarray(pixels, mode).save(path, **options)
