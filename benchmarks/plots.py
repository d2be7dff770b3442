"""Plots of stored runs: scores over steps, criteria against true scores."""

from __future__ import annotations

from collections.abc import Sequence
import io
import re

import numpy as np

from benchmarks import records
from uda_jax.evaluate import ranking
from uda_jax.evaluate import selection
from uda_jax.report import charts

_MARKERS = 'os^Dv<>P*X'


def over_steps(found: Sequence[records.Record]) -> str:
  """Draws the score of the reported network over the steps.

  Args:
    found: records of one benchmark; a line for each config and length, the mean
      over seeds, in a band from the lowest to the highest.

  Returns:
    An SVG file; '' where no run was evaluated on the way.
  """
  groups: dict[tuple[str, int], list[records.Record]] = {}
  for record in found:
    if record.evaluations:
      key = record.job.config, record.job.steps
      groups.setdefault(key, []).append(record)
  if not groups:
    return ''
  fig, axes = _axes(6.5, 4.0)
  names = list(dict.fromkeys(config for config, _ in groups))
  for (config, steps), group in groups.items():
    at = [{e['step']: e['miou'] for e in r.evaluations} for r in group]
    common = sorted(set.intersection(*map(set, at)))
    values = 100 * np.array([[scores[s] for s in common] for scores in at])
    color, marker = _style(names.index(config))
    # A config has one color at all lengths, and one name.
    first = min(length for name, length in groups if name == config) == steps
    axes.plot(
      common,
      values.mean(0),
      color=color,
      marker=marker,
      markersize=4,
      linewidth=1.3,
      label=config if first else None,
    )
    axes.fill_between(
      common, values.min(0), values.max(0), color=color, alpha=0.15, linewidth=0
    )
  axes.set_xscale('log')
  axes.set_xlabel('step')
  axes.set_ylabel('mIoU, percent')
  fig.legend(loc='outside right upper', fontsize=7, frameon=False)
  return _svg(fig, 'over_steps')


def criteria(found: Sequence[records.Record]) -> str:
  """Draws each criterion without labels against the true score.

  Args:
    found: records of one benchmark and length; a point for each run, of the
      network that it reports.

  Returns:
    An SVG file; '' where nothing was measured.
  """
  points = [
    (
      record.job.config,
      ranking.criteria(record.networks[record.reported].label_free),
      100
      * next(iter(records.report(record, record.reported)['miou'].values())),
    )
    for record in found
  ]
  names = [n for n in selection.LABEL_FREE if any(n in x for _, x, _ in points)]
  if not names:
    return ''
  fig, axes = _axes(3.2 * len(names), 3.2, len(names))
  configs = list(dict.fromkeys(config for config, *_ in points))
  for name, one in zip(names, axes if len(names) > 1 else [axes]):
    for config, values, score in points:
      if name in values:
        color, marker = _style(configs.index(config))
        one.plot(values[name], score, color=color, marker=marker, markersize=5)
    one.set_xlabel(f'{name} (larger is better)', fontsize=8)
  first = axes[0] if len(names) > 1 else axes
  first.set_ylabel('mIoU, percent')
  for config in configs:
    color, marker = _style(configs.index(config))
    first.plot([], [], color=color, marker=marker, linestyle='', label=config)
  fig.legend(loc='outside lower center', fontsize=7, ncols=4, frameon=False)
  return _svg(fig, 'criteria')


def _style(number: int) -> tuple[str, str]:
  return charts.color(number), _MARKERS[number % len(_MARKERS)]


def _axes(width: float, height: float, count: int = 1):
  from matplotlib import figure

  fig = figure.Figure(figsize=(width, height), layout='constrained')
  axes = fig.subplots(1, count)
  for one in axes if count > 1 else [axes]:
    one.tick_params(labelsize=8)
    one.grid(alpha=0.3)
  return fig, axes


def _svg(fig, name: str) -> str:
  """Returns the figure as the same text each time."""
  import matplotlib

  buffer = io.StringIO()
  with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': name}):
    fig.savefig(buffer, format='svg', metadata={'Date': None})
  svg = re.sub(r'<metadata>.*?</metadata>', '', buffer.getvalue(), flags=re.S)
  return re.sub(r'[ \t]+$', '', svg, flags=re.M)
