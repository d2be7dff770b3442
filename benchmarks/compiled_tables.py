"""Markdown tables of the records of `benchmarks.compiled`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import pathlib
import re
from typing import Any

from benchmarks import bounds
from benchmarks import chips
from benchmarks import compiled
from benchmarks import compiled_program
from benchmarks import published_scores
from uda_jax import configs

Record = Mapping[str, Any]
_DONE = ('buffers', 'compiled')
_COLUMNS = (
  'config',
  'program',
  'peak, GiB',
  'fits',
  'TFLOP',
  'moved, GB',
  'kernels',
  'compute, s',
  'memory, s',
  'limit',
  "authors' time, s",
)
_REDUCED = (
  'config',
  'program',
  'summed arrays',
  'MB',
  'in collectives',
  '8 chips, ms',
  '256 chips, ms',
)


def records(folder: pathlib.Path) -> list[Record]:
  """Returns all records, those of the systems first and in their order."""
  found = {
    path.relative_to(folder).with_suffix('').as_posix(): compiled.read(path)
    for path in folder.glob('*/*.json')
  }
  order = [*compiled.SYSTEMS, *compiled.everything(), *sorted(found)]
  names = [name for name in dict.fromkeys(order) if name in found]
  return [found[name][key] for name in names for key in sorted(found[name])]


def page(folder: pathlib.Path) -> str:
  """Returns the tables by device and setting, and what did not end."""
  known = records(folder)
  if not known:
    raise ValueError(f'--records: expected records in {folder}, found none')
  pairs = dict.fromkeys((r['device'], r['setting']) for r in known)
  parts = []
  for device, setting in pairs:
    own = [r for r in known if (r['device'], r['setting']) == (device, setting)]
    parts.append(f'## {device}, {setting}\n')
    single = [r for r in own if r['devices'] == 1 and r['stage'] in _DONE]
    if single:
      parts.append(table(_COLUMNS, map(row, single)))
    steps = [r for r in own if r['part'].startswith('step')]
    if device in chips.CHIPS and (rows := list(map(reduced_row, steps))):
      parts.append(table(_REDUCED, rows))
    parts += [_remark(r) for r in own if r['stage'] not in _DONE]
  return '\n'.join(parts)


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
  """Returns a Markdown table."""
  columns = list(columns)
  lines = [columns, ['---'] * len(columns), *rows]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + '\n'


def row(record: Record) -> list[str]:
  """Returns the cells of a compiled program on one device."""
  memory = record.get('peak_gib')
  chip = chips.CHIPS.get(record['device'])
  cells = [f'`{record["config"]}`', record['part']]
  cells += ['-' if memory is None else f'{memory:.1f}']
  fits = memory is not None and chip and memory * 2**30 <= chip.memory
  cells += [('yes' if fits else '**no**') if chip else '-']
  cells += [_number(record['tflops']), _number(record['traffic_gb'])]
  cells += [f'{record["kernels"]:,}' if 'kernels' in record else '-']
  if not chip:
    return [*cells, '-', '-', '-', '-']
  seconds = compiled_program.bound(record)
  return [
    *cells,
    _number(seconds['compute']),
    _number(seconds['memory']),
    bounds.limit(seconds),
    authors_seconds(record['config'], record['part']) or '-',
  ]


def reduced_row(record: Record) -> list[str]:
  """Returns the cells on what a step sums over its devices."""
  summed = record.get('collectives_traced', {})
  size = sum(one['bytes'] for one in summed.values())
  made = record.get('collectives', {}) if record['devices'] > 1 else {}
  kinds = ', '.join(f'{x["count"]} {kind}' for kind, x in made.items())
  chip = chips.CHIPS[record['device']]
  time = lambda count: f'{1e3 * bounds.all_reduce(chip, size, count):.1f}'
  return [
    f'`{record["config"]}`',
    record['part'],
    str(sum(one['count'] for one in summed.values())),
    f'{size / 1e6:.0f}',
    f'{kinds} ({record["devices"]} chips)' if kinds else '-',
    time(8),
    time(256),
  ]


def authors_seconds(name: str, part: str) -> str:
  """Returns such as '1.4 (RTX 2080 Ti)': the published time of a step, or ''.

  The hours of the whole published run over its steps, evaluations included.

  Args:
    name: of a config.
    part: of a run; '' for evaluations.
  """
  benchmark, _, config = name.partition('/')
  run = published_scores.RUNS.get(benchmark, {}).get(config)
  hours = run and re.match(r'([\d.]+) h, .*, ([^,]+)$', run.cost)
  if not hours or not part.startswith('step'):
    return ''
  steps = configs.load(name).steps
  return f'{3600 * float(hours[1]) / steps:.1f} ({hours[2]})'


def _number(value: float) -> str:
  """Returns three digits."""
  return f'{value:.3g}'


def _remark(record: Record) -> str:
  """Returns a line on a program that did not compile or did not end."""
  text = f'* `{record["config"]}`, {record["part"]}: '
  if record['stage'] == 'failed':
    return text + f'fails: {record["error"]}\n'
  return text + (
    f'stopped after {record["wall_minutes"]:g} minutes'
    + (' of XLA' if record['after'] == 'traced' else ' before XLA began')
    + '\n'
  )
