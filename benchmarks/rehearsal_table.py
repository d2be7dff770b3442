"""The table of a rehearsal."""

from __future__ import annotations

from typing import Any

# The commands of a record, in order; their columns are seconds.
COMMANDS = ('prepare', 'train', 'resume', 'evaluate', 'predict', 'export')


def _cells(record: dict[str, Any]) -> list[str]:
  """Returns a record's row of the table."""
  step = [p for p in record['programs'] if 'train step' in p['name']]
  seconds = record['seconds']
  end = record.get('error') or record.get('compiled_only') or 'all commands'
  if record['options']:
    end += ' with ' + ' '.join(f'`{x}`' for x in record['options'])
  return [
    f'`{record["config"]}`',
    ', '.join(f'{loss:.2f}' for loss in record['losses'].values()),
    f'{max(p["gib"] for p in step):.1f}' if step else '',
    f'{record["gib"]:.1f}' if record['steps'] else '',
    *(f'{seconds[x]:.0f}' if x in seconds else '' for x in COMMANDS),
    end,
  ]


def _size(shape: list[int]) -> str:
  """Returns 'groups x images, height x width' of a batch."""
  groups, images, height, width, _ = shape
  return f'{groups} x {images}, {height} x {width}'


def _traced_cells(record: dict[str, Any]) -> list[str]:
  """Returns the row of a config whose steps were traced."""
  if 'error' in record:
    return [f'`{record["config"]}`', record['error'], *[''] * 4]
  source, *rest = record['phases'][0]['batch']
  target = rest[0] if rest else source
  return [
    f'`{record["config"]}`',
    f'{record["method"]}',
    str(record['tensors']),
    _size(source) if source == target else f'{_size(source)}; {_size(target)}',
    str(len(record['phases'])),
    f'{record["seconds"]:.0f}',
  ]


def traced(records: list[dict[str, Any]]) -> str:
  """Returns the records of --trace as a table in Markdown."""
  lines = [
    '| config | method | tensors loaded | batch | programs | seconds |',
    '|---|---|---|---|---|---|',
  ]
  lines += [f'| {" | ".join(_traced_cells(record))} |' for record in records]
  return '\n'.join(lines)


def table(records: list[dict[str, Any]]) -> str:
  """Returns the records of runs as a table in Markdown."""
  lines = [
    f'| config | losses | planned GiB | peak GiB | {" | ".join(COMMANDS)} '
    '| result |',
    '|' + '---|' * (5 + len(COMMANDS)),
  ]
  lines += [f'| {" | ".join(_cells(record))} |' for record in records]
  return '\n'.join(lines)
