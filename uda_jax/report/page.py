"""Puts the page together from what the runs hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import pathlib
import re
from typing import Any, NamedTuple

import jinja2
import numpy as np

import uda_jax
from uda_jax import files
from uda_jax import words
from uda_jax.report import charts
from uda_jax.report import images
from uda_jax.report import read
from uda_jax.report import scores

_OTHER = 'Other'
# Group of curves -> how their names begin; the first that fits counts.
_GROUPS = {
  'Loss by term': 'loss/',
  'Mean IoU and pixel accuracy': 'eval/(?=miou/|pixel_accuracy)',
  'IoU by class': 'eval/iou/',
  'Criteria without labels': 'eval/label_free/',
  _OTHER: '',
}
_SCORE = r'eval/(miou|iou|pixel_accuracy)\b'


class Group(NamedTuple):
  """Charts under one heading; open if any of them shows more than a point."""

  title: str
  charts: list[str]
  open: bool


def write(paths: Sequence[pathlib.Path], out: pathlib.Path) -> str:
  """Writes a page about runs.

  Args:
    paths: their directories.
    out: the HTML file.

  Returns:
    Its address, file://...

  Raises:
    FileNotFoundError, ValueError: see `read.runs`.
    IsADirectoryError: `out` is a folder.
  """
  out = out.absolute()
  if out.is_dir():
    raise IsADirectoryError(
      f'--out: expected an HTML file to write, got the folder {out}'
    )
  # Names of images are bytes, which need not be UTF-8.
  page = render(read.runs(paths)).encode(errors='replace')
  files.write_atomically(out, page)
  return out.as_uri()


def render(runs: Sequence[read.Run]) -> str:
  """Returns the page about runs as HTML."""
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('uda_jax.report', 'template'),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
  )
  environment.filters['percent'] = _percent
  table = scores.columns(runs)
  about = list(map(facts, runs))
  return environment.get_template('page.html').render(
    version=uda_jax.__version__,
    runs=runs,
    colors=[charts.color(number) for number in range(len(runs))],
    facts=about,
    fact_names=list(dict.fromkeys(name for one in about for name in one)),
    scored_on=_scored_on(runs),
    fields=_fields(runs),
    table=table,
    by_class=scores.by_class(table),
    means=scores.means(table),
    ranked=scores.images(table),
    label_free=scores.label_free(table),
    bars=_bars(runs, table),
    groups=list(_groups(runs)),
    confusions=[
      (column, scores.confusion(column.report))
      for column in table
      if column.reported
    ],
    strips=images.strips(runs),
    kinds=images.KINDS,
    galleries={
      kind: [images.gallery(run, kind) for run in runs] for kind in images.KINDS
    },
    missing=list(map(missing, runs)),
  )


def _percent(score: float | None) -> str:
  return '–' if score is None or np.isnan(score) else f'{100 * score:.1f}'


def facts(run: read.Run) -> dict[str, str]:
  """Returns what a run is: data, method, start, versions."""
  config, first, last = run.config, run.starts[0], run.starts[-1]
  command = ' '.join(first.get('command', ()))
  named = re.search(r'--config[= ](\S+)', command)
  devices = last.get('devices', {})
  git = last.get('git') or {}
  return {
    'config': named[1] if named else 'made in Python',
    'method': run.method,
    'network': config['model']['name'],
    'reported network': run.reported,
    'start weights': _start_weights(run),
    **_data(run),
    'steps': str(config['steps']),
    'seed': str(config.get('seed')),
    'batch': _batch(**config['batch']),
    'devices': '{count} x {kind}'.format(**devices) if devices else 'unknown',
    'started': ', '.join(start.get('date', 'unknown') for start in run.starts),
    'command': command or 'unknown',
    'code': f'{git.get("revision", "no git checkout")}'
    + (' with uncommitted changes' if git.get('dirty') else ''),
    'versions': ', '.join(
      f'{name} {version}'
      for name, version in {
        'python': last.get('python', 'unknown'),
        **last.get('packages', {}),
      }.items()
    ),
    'directory': str(run.path),
  }


def _data(run: read.Run) -> dict[str, str]:
  """Returns the data sets by role with their number of images."""
  return {
    role.replace('_', ' '): _with_count(data)
    for role, data in run.starts[-1].get('data', {}).items()
  }


def _scored_on(runs: Sequence[read.Run]) -> list[tuple[str, str]]:
  """Returns (run, images) if runs are scored on different ones, else []."""
  scored = {
    run.name: run.starts[-1].get('data', {}).get('evaluation') for run in runs
  }
  known = {name: data for name, data in scored.items() if data}
  if all(data == other for data in known.values() for other in known.values()):
    return []
  return [(name, _with_count(data)) for name, data in known.items()]


def _batch(groups: int, group_size: int, **_: Any) -> str:
  """Returns the size of a batch."""
  return f'{groups} x {words.counted(group_size, "image")} per domain'


def _with_count(data: Mapping[str, Any]) -> str:
  """Returns the name of a data set and its number of images."""
  return f'{data["name"]}, {words.counted(data["images"], "image")}'


def _start_weights(run: read.Run) -> str:
  """Describes what the first start began with."""
  weights = run.starts[0].get('weights')
  warm = run.config.get('warm_start', {}).get('workdir')
  if warm:
    return f'of the run {warm}'
  if not weights:
    return 'random'
  return f'{weights["path"]}, SHA-256 {weights["sha256"]}'


def _fields(runs: Sequence[read.Run]) -> list[tuple[str, list[str], bool]]:
  """Returns the configs field by field: (name, value a run, do they differ)."""
  flat = [read.flat(run.config) for run in runs]
  names = dict.fromkeys(name for fields in flat for name in fields)
  rows = []
  for name in names:
    values = [repr(fields[name]) if name in fields else '' for fields in flat]
    rows.append((name, values, len(set(values)) > 1))
  return rows


def _bars(
  runs: Sequence[read.Run], table: Sequence[scores.Column]
) -> str | None:
  """Draws the IoU of the networks that the runs report."""
  shown = [column for column in table if column.reported]
  if not shown:
    return None
  rows = scores.by_class(shown)
  return charts.bars(
    [name for name, _ in rows],
    {c.run: [values[i] for _, values in rows] for i, c in enumerate(shown)},
  )


def _groups(runs: Sequence[read.Run]) -> Iterator[Group]:
  """Draws the curves of all runs, a chart for each scalar."""
  left = dict.fromkeys(name for run in runs for name in run.curves)
  for title, pattern in _GROUPS.items():
    names = [name for name in left if re.match(pattern, name)]
    for name in names:
      del left[name]
    if names:
      shown = [_chart(runs, x, re.sub(f'^{pattern}', '', x)) for x in names]
      longest = max(
        len(run.curves[name].steps)
        for run in runs
        for name in names
        if name in run.curves
      )
      yield Group(title, shown, longest > 1 and title != _OTHER)


def _chart(runs: Sequence[read.Run], name: str, title: str) -> str:
  curves = {
    number: run.curves[name]
    for number, run in enumerate(runs)
    if name in run.curves
  }
  score = bool(re.match(_SCORE, name))
  return charts.lines(name, title, curves, score=score)


def missing(run: read.Run) -> list[str]:
  """Returns what of a run was skipped, and what the page cannot show."""
  found = list(_skipped(run.curves))
  if len(run.starts) > 1:
    times = 'once' if len(run.starts) == 2 else f'{len(run.starts) - 1} times'
    found.append(f'It was resumed {times}.')
  for start in run.starts:
    for field, value in start.get('changed_fields', {}).items():
      date = start.get('date', 'a later start')
      found.append(f'config.{field} was changed to {value!r} at {date}.')
  if not run.curves:
    found.append('It has no curves.')
  if not run.results:
    found.append('It has no scores: it has not come to its end.')
  report = run.results.get(run.reported, {})
  if report and 'confusion' not in report:
    found.append(
      'Its results have no confusion matrix, as those of earlier versions; '
      f'python -m uda_jax.evaluate --workdir={run.path} writes one.'
    )
  unscored = [name for name, x in report.get('iou', {}).items() if x is None]
  if unscored:
    found.append(
      'Classes without a score, neither in the labels nor predicted: '
      f'{", ".join(unscored)}.'
    )
  if not images.pages(run, 'evaluation'):
    found.append(
      'It has no evaluation pictures (config.log.panels_every, or an earlier '
      'version).'
    )
  return found


def _skipped(curves: Mapping[str, Any]) -> Iterator[str]:
  """Describes steps without an update, and values that are not finite."""
  if 'skipped' in curves:
    values = curves['skipped'].values
    count = int(np.count_nonzero(values))
    if count:
      steps = curves['skipped'].steps[values > 0]
      yield (
        f'{count} of {len(values)} logged steps changed nothing, since the '
        f'loss or the gradient was not finite: steps '
        f'{", ".join(map(str, steps[:10]))}{", ..." if count > 10 else ""}.'
      )
    else:
      yield f'None of the {len(values)} logged steps was skipped.'
  for name, curve in curves.items():
    count = int((~np.isfinite(curve.values)).sum())
    if count:
      yield f'{name}: {count} of {len(curve.values)} values are not finite.'
