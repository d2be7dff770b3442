"""The record of a command in its directory: what was decided, what is done."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import json
import pathlib
from typing import Any

from uda_jax import files

_NAME = 'adapt.json'
CONFIG, SOURCE_ONLY = 'config.py', 'source_only.py'


@dataclasses.dataclass
class Record:
  """Facts on a run of `uda_jax.adapt` that later starts need.

  Attributes:
    run: its directory.
    flags: that decide the runs.
    target: flags of labeled target images, which may come later.
    lines: table and choices that were printed.
    written: hash of the config file as it was written.
    started: hash of the config file that training started with, '' before.
    stages: results of finished stages, by name.
  """

  run: pathlib.Path
  flags: dict[str, Any]
  target: dict[str, Any]
  lines: str = ''
  written: str = ''
  started: str = ''
  stages: dict[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def config(self) -> pathlib.Path:
    """The config file of the adapted run."""
    return self.run / CONFIG

  @property
  def edited(self) -> bool:
    """True if the config file is not as it was written."""
    return bool(self.written) and digest(self.config) != self.written

  def save(self) -> None:
    """Writes the record, whole or not at all."""
    values = dataclasses.asdict(self)
    del values['run']
    files.write_atomically(self.run / _NAME, files.to_json(values))

  def finish(self, stage: str, result: Any) -> None:
    """Records that a stage is done."""
    self.stages[stage] = result
    self.save()


def digest(path: pathlib.Path) -> str:
  """Returns a hash of a file, '' if there is none."""
  if not path.is_file():
    return ''
  return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def open_record(
  run: pathlib.Path, flags: Mapping[str, Any], target: Mapping[str, Any]
) -> Record:
  """Returns the record of a directory, or a new one.

  Args:
    run: the directory.
    flags: of this command that decide the runs.
    target: its flags of labeled target images.

  Raises:
    ValueError: the directory belongs to a command with other flags that has
      trained, or whose config file was edited; or holds something else.
  """
  path = run / _NAME
  flags = json.loads(json.dumps(dict(flags)))
  if not path.is_file():
    if (run / CONFIG).exists():
      raise ValueError(
        f'--out: expected a new directory or that of an earlier start, got '
        f'{run}, which has a {CONFIG} but no {_NAME}; give another one'
      )
    return Record(run, dict(flags), dict(target))
  try:
    record = Record(run, **json.loads(path.read_text()))
  except (ValueError, TypeError) as error:
    raise ValueError(
      f'{path}: expected the record of an earlier start, got something else; '
      'give another --out'
    ) from error
  changed = [
    f'--{name}: {old!r} then, {flags.get(name)!r} now'
    for name, old in record.flags.items()
    if flags.get(name) != old
  ]
  if not changed:
    _check_config(record)
    return record
  if record.started or record.edited:
    why = 'has trained' if record.started else f'has an edited {CONFIG}'
    raise ValueError(
      f'{run} {why} with other flags ({"; ".join(changed)}); give those, or '
      'another --out'
    )
  return Record(run, dict(flags), dict(target))


def _check_config(record: Record) -> None:
  """Raises for a config file that was changed after training had started."""
  if record.started and digest(record.config) != record.started:
    raise ValueError(
      f'{record.config}: expected the file as training started with it, got '
      'another one; undo the change, or give another --out'
    )
