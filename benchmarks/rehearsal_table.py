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


def table(records: list[dict[str, Any]]) -> str:
  """Returns records as a table in Markdown."""
  lines = [
    f'| config | losses | planned GiB | peak GiB | {" | ".join(COMMANDS)} '
    '| result |',
    '|' + '---|' * (5 + len(COMMANDS)),
  ]
  lines += [f'| {" | ".join(_cells(record))} |' for record in records]
  return '\n'.join(lines)
