"""Runs `uda_jax.adapt`: looks, writes the config, goes through the stages."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import pathlib
import time
from typing import Any

import jax

from uda_jax import cli
from uda_jax import configs
from uda_jax import files
from uda_jax.adapt import choices as choices_lib
from uda_jax.adapt import config_file
from uda_jax.adapt import decide
from uda_jax.adapt import folder_contents
from uda_jax.adapt import record as record_lib
from uda_jax.adapt import show
from uda_jax.adapt import target_record
from uda_jax.train import checks

# Flags that change nothing of the run.
_FREE = ('dry_run', 'debug', 'overrides', 'out')
# Flags of labels that no run reads.
_TARGET = ('target_labels', 'test')
Write = Callable[[int], None]


def run(args: argparse.Namespace) -> None:
  """Runs the command; see `uda_jax.adapt.__main__`.

  Raises:
    OSError, ValueError, cli.Failed: in one line.
  """
  begun = time.monotonic()
  _check_out(args)
  path = checks.check_workdir(args.out, '--out')
  target = {name: getattr(args, name) for name in _TARGET}
  record = record_lib.open_record(path, _flags(args), target)
  write_steps = _decide(args, record)
  if args.dry_run:
    print(
      f'\n--dry_run: nothing is trained. Look at {path / "found"}, edit '
      f'{record.config} if you like, and give the command without it.'
    )
    return
  # Both files load, and describe runs that are possible.
  for name in (record_lib.CONFIG, record_lib.SOURCE_ONLY):
    checks.check_config(configs.load(path / name))
  with cli.hidden_stderr(not args.debug):
    from uda_jax.adapt import stages as stages_lib
  _run_stages(args, record, begun, write_steps, stages_lib)


def _flags(args: argparse.Namespace) -> dict[str, Any]:
  """Returns the flags that decide the run, as the record keeps them."""
  return {
    name: str(value) if isinstance(value, pathlib.Path) else value
    for name, value in sorted(vars(args).items())
    if name not in (*_FREE, *_TARGET)
  }


def _check_out(args: argparse.Namespace) -> None:
  """Raises if outputs would lie among the images."""
  out = args.out.absolute()
  for flag in ('source', 'source_labels', 'target', 'target_labels', 'test'):
    text = getattr(args, flag)
    folder = pathlib.Path(text).expanduser().absolute() if text else None
    if folder and folder.is_dir() and out.is_relative_to(folder):
      raise ValueError(
        f'--out: expected a folder outside of --{flag}, got {out}; its '
        'pictures would be taken for images'
      )


def _decide(
  args: argparse.Namespace, record: record_lib.Record
) -> Write | None:
  """Looks and writes the config unless that is done.

  Returns:
    What writes the config with another number of steps, None if it stays.
  """
  if record.started or record.edited or 'measure' in record.stages:
    print(record.lines)
    if record.edited and not record.started:
      print(f'\n{record.config} was edited: it is used as it is')
    _look_at_target(args, record)
    return None
  found = folder_contents.look_at(args)
  settings, choices = decide.decide(
    args, found, record.run, jax.default_backend()
  )
  show.write(found, record.run / 'found')
  target_record.write(found, record.run / 'found')

  def write(steps: int) -> None:
    text = config_file.write(settings._replace(steps=steps), record.run)
    files.write_atomically(
      record.config, text.encode('utf8', 'surrogateescape')
    )
    record.written = record_lib.digest(record.config)
    record.save()

  source_only = config_file.source_only().encode()
  files.write_atomically(record.run / record_lib.SOURCE_ONLY, source_only)
  record.lines = '\n'.join(
    [
      'found',
      *show.table(found),
      '',
      'chosen',
      choices_lib.lines(choices),
    ]
  )
  write(settings.steps)
  print(record.lines)
  print(
    f'\nlabels over images: {record.run / "found"}\nconfig: {record.config}',
    flush=True,
  )
  return write


def _look_at_target(
  args: argparse.Namespace, record: record_lib.Record
) -> None:
  """Looks at labels of the target that an earlier start was not given."""
  target = {name: getattr(args, name) for name in _TARGET}
  if not args.target_labels or target == record.target:
    return
  found = folder_contents.look_at(args)
  assert found.scored is not None  # --target_labels is given
  show.write(found, record.run / 'found')
  target_record.write(found, record.run / 'found')
  print(f'\nscores: on {len(found.scored.names)} target images')
  record.target = target
  for stage in ('score', 'report'):
    record.stages.pop(stage, None)
  record.save()


def _run_stages(
  args: argparse.Namespace,
  record: record_lib.Record,
  begun: float,
  write_steps: Write | None,
  lib: Any,
) -> None:
  """Goes through the stages that are left, and prints where everything is."""
  stages = lib.Stages(record)
  fixed = None if args.steps else write_steps
  stages.run(
    'measure',
    lambda: lib.plan(record, args, begun, fixed),
  )
  if not record.started:
    record.started = record_lib.digest(record.config)
    record.save()
  for name in lib.RUNS:
    stages.run(name, lambda name=name: lib.train(record, name))
  stages.run('choose', lambda: lib.choose(record))
  stages.run('score', lambda: lib.score(record))
  most = lib.plan_of(record).predictions
  failed = stages.run('predict', lambda: lib.predict(record, most))
  stages.run('export', lambda: lib.export(record))
  address = stages.run('report', lambda: lib.report(record))
  table = lib.results(record)
  files.write_atomically(record.run / 'results.txt', table.encode())
  print(
    f'\n{table}\n'
    f'network      {record.run / record.stages["choose"]} '
    f'({record.stages["choose"]}), exported to {record.run / "exported"}\n'
    f'predictions  {record.run / "predictions" / "overlay"}\n'
    f'page         {address}\n'
    f'time         {(time.monotonic() - begun) / 60:.1f} minutes since this '
    'start'
  )
  if failed:
    raise cli.Failed(
      f'--target: {failed} image(s) could not be read and have no prediction; '
      'lines above name them'
    )
