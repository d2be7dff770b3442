"""Text in pages of Markdown: names that hold what is markup there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import re

# A bar ends a cell, also inside code; _ marks at the ends of words alone.
_MARKUP = re.compile(r'([\\`*\[\]|~$]|\b_|_\b)')


def text(words: object) -> str:
  """Returns a text that a page shows as it is, in one line.

  Example:
    >>> print(text('a|b <c> & d_e _f_'))
    a\\|b &lt;c&gt; &amp; d_e \\_f\\_
  """
  line = ' '.join(str(words).split())
  line = line.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
  return _MARKUP.sub(r'\\\1', line)


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
  """Returns a table of plain texts."""
  lines = [[text(cell) for cell in line] for line in (head, *rows)]
  lines.insert(1, ['---'] * len(head))
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
