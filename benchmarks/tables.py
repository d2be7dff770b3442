"""Markdown tables of scores."""

from __future__ import annotations

from typing import Any

import numpy as np


def _cell(scores: list[float | None]) -> str:
  """Mean and spread of one class over the seeds, in percent."""
  known = [100 * s for s in scores if s is not None]
  if not known:
    return '-'
  spread = f' ± {np.std(known, ddof=1):.1f}' if len(known) > 1 else ''
  return f'{np.mean(known):.1f}{spread}'


def markdown(reports: dict[str, list[dict[str, Any]]]) -> str:
  """Lays out the table: a row a run, mIoU by seed, then each class's mean.

  Args:
    reports: run -> one report a seed, see `reports.report`.
  """
  first = next(iter(reports.values()))[0]
  subset = next(iter(first['miou']))
  classes = list(first['iou'])
  lines = [['run', 'mIoU', 'by seed', *classes]]
  for name, seeds in reports.items():
    lines.append(
      [
        name,
        _cell([r['miou'][subset] for r in seeds]),
        ' / '.join(_cell([r['miou'][subset]]) for r in seeds),
        *(_cell([r['iou'][c] for r in seeds]).split(' ')[0] for c in classes),
      ]
    )
  rows = ['| ' + ' | '.join(line) + ' |' for line in lines]
  rule = '|' + '---|' * len(lines[0])
  return '\n'.join([rows[0], rule, *rows[1:]]) + '\n'
