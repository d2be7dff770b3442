"""Charts as SVG texts for the page; the only user of matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import io
import math
import re
from typing import Any
import warnings

import numpy as np

from uda_jax.report import events

# Okabe and Ito's colors, readable on light and dark ground and by the color
# blind; and the strokes that separate more runs than colors.
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00')
_STROKES = ('-', '--', ':', '-.')
# Stands for the color of the page's text in matplotlib's output.
_INK = '#010203'


def color(number: int) -> str:
  """Returns the color of a run."""
  return COLORS[number % len(COLORS)]


def _axes(width: float, height: float):
  """Returns a figure without a window, and its only axes."""
  from matplotlib import figure

  fig = figure.Figure(figsize=(width, height))
  axes = fig.add_subplot()
  for side in ('top', 'right'):
    axes.spines[side].set_visible(False)
  axes.tick_params(labelsize=8)
  return fig, axes


def _svg(fig, name: str, label: str) -> str:
  """Returns a figure as an SVG element that takes the page's text color.

  Args:
    fig: a matplotlib figure.
    name: unique on the page.
    label: the text that stands for the chart where it cannot be seen.
  """
  import matplotlib

  buffer = io.StringIO()
  # Ids are hashes of the salt and the content: no two charts share them.
  with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': name}):
    fig.savefig(buffer, format='svg', transparent=True, metadata={'Date': None})
  svg = buffer.getvalue()
  svg = svg[svg.index('<svg') :]
  svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
  svg = re.sub(r'<g id="[^"]*">', '<g>', svg)
  svg = re.sub(r' (?:width|height)="[\d.]+pt"', '', svg, count=2)
  svg = svg.replace(_INK, 'currentColor')
  quoted = label.replace('&', '&amp;').replace('"', '&quot;')
  quoted = quoted.replace('<', '&lt;')
  return svg.replace('<svg', f'<svg role="img" aria-label="{quoted}"', 1)


@contextlib.contextmanager
def _settings() -> Iterator[None]:
  """Gives everything but the data the text's color; names are plain text."""
  import matplotlib

  parts = ('text.color', 'axes.edgecolor', 'axes.labelcolor')
  ticks = ('xtick.color', 'ytick.color')
  # `$` in the name of a class is no formula.
  settings: dict[Any, Any] = dict.fromkeys((*parts, *ticks), _INK)
  settings['text.parse_math'] = False
  with matplotlib.rc_context(settings), warnings.catch_warnings():
    # The browser has the glyphs that matplotlib's own font lacks.
    warnings.filterwarnings('ignore', 'Glyph .* missing')
    yield


def lines(
  name: str, title: str, curves: Mapping[int, events.Curve], *, score: bool
) -> str:
  """Draws one scalar of several runs over their steps.

  Args:
    name: of the scalar, unique on the page.
    title: above the chart.
    curves: number of the run -> its curve; values that are not finite are gaps.
    score: whether values are in 0..1; the axis then starts at 0.

  Returns:
    An SVG element.
  """
  with _settings():
    fig, axes = _axes(3.4, 2.1)
    # Fixed: a layout engine takes most of the time of hundreds of charts.
    fig.subplots_adjust(0.19, 0.2, 0.98, 0.88)
    axes.yaxis.set_major_formatter('{x:.3g}')
    axes.set_title(title, fontsize=9, loc='left')
    axes.set_xlabel('step', fontsize=8)
    for number, curve in curves.items():
      finite = np.where(np.isfinite(curve.values), curve.values, np.nan)
      axes.plot(
        curve.steps,
        finite,
        color=color(number),
        linestyle=_STROKES[number // len(COLORS) % len(_STROKES)],
        linewidth=1.5,
        marker='o' if len(curve.steps) < 4 else '',
        markersize=4,
      )
    axes.locator_params(axis='x', nbins=5, integer=True)
    axes.margins(x=0.02)
    if score:
      top = max(np.nanmax(curve.values) for curve in curves.values())
      axes.set_ylim(0, 1.05 * top or 1)
    last = ', '.join(
      f'run {number + 1} {curve.values[-1]:.3g}'
      for number, curve in curves.items()
    )
    return _svg(fig, f'lines {name}', f'{name} over steps; last value: {last}')


def bars(
  class_names: Sequence[str], scores: Mapping[int, Sequence[float | None]]
) -> str:
  """Draws IoU by class, a bar for each run.

  Args:
    class_names: C names.
    scores: number of the run -> C scores in 0..1, None for unknown.

  Returns:
    An SVG element.
  """
  thick = 0.8 / len(scores)
  places = np.arange(len(class_names))
  with _settings():
    fig, axes = _axes(5.5, 0.6 + len(class_names) * (0.14 + 0.1 * len(scores)))
    for place, (number, row) in enumerate(scores.items()):
      values = [math.nan if x is None else 100 * x for x in row]
      axes.barh(
        places + thick * (place - (len(scores) - 1) / 2),
        values,
        height=thick,
        color=color(number),
      )
    fig.set_layout_engine('constrained')
    axes.set_yticks(places, class_names)
    axes.set_ylim(len(class_names) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel('IoU, percent', fontsize=8)
    axes.grid(axis='x', alpha=0.3)
    return _svg(
      fig, 'bars', 'IoU by class and run; the table has the same numbers'
    )
