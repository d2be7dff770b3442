"""Tables of scores: a narrow one for a page, one with all classes as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import io
import pathlib
from typing import Any

import numpy as np

# Run -> one report for each seed, see `uda_jax.evaluate.reports.report`.
Reports = Mapping[str, Sequence[Mapping[str, Any]]]


def _percent(scores: Sequence[float | None]) -> tuple[str, str]:
  """Returns mean and standard deviation in percent; '' without a score."""
  known = [100 * s for s in scores if s is not None]
  mean = f'{np.mean(known):.1f}' if known else ''
  return mean, f'{np.std(known, ddof=1):.1f}' if len(known) > 1 else ''


def _rows(reports: Reports) -> list[list[str]]:
  """Returns the header and the rows of the CSV table."""
  first = next(iter(reports.values()))[0]
  subset, classes = next(iter(first['miou'])), list(first['iou'])
  rows = [['run', 'mIoU', 'spread', 'by seed', *classes]]
  for name, seeds in reports.items():
    scores = [report['miou'][subset] for report in seeds]
    rows.append(
      [
        name,
        *_percent(scores),
        ' / '.join(_percent([score])[0] for score in scores),
        *(_percent([r['iou'][c] for r in seeds])[0] for c in classes),
      ]
    )
  return rows


def markdown(reports: Reports) -> str:
  """Returns a table of mIoU: mean ± standard deviation, and each seed."""
  lines = ['| run | mIoU | by seed |', '|---|---|---|']
  for name, mean, spread, by_seed, *_ in _rows(reports)[1:]:
    score = f'{mean} ± {spread}' if spread else mean
    lines.append(f'| {name} | {score} | {by_seed} |')
  return '\n'.join(lines) + '\n'


def to_csv(reports: Reports) -> str:
  """Returns the same table with the mean IoU of each class, in percent."""
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows(_rows(reports))
  return text.getvalue()


def write(reports: Reports, folder: pathlib.Path, name: str) -> str:
  """Writes both tables, `<name>.md` and `<name>.csv`; returns the first."""
  page = markdown(reports)
  (folder / f'{name}.md').write_text(page)
  (folder / f'{name}.csv').write_text(to_csv(reports))
  return page
