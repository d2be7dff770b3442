"""The stages of a run, one after the other; a finished one is not repeated."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import pathlib
import time
from typing import Any

import jax

from uda_jax import configs
from uda_jax import duration
from uda_jax import types
from uda_jax.adapt import budget
from uda_jax.adapt import drawings
from uda_jax.adapt import measure
from uda_jax.adapt import predictions
from uda_jax.adapt import record as record_lib
from uda_jax.adapt import scoring
from uda_jax.adapt import target_record
from uda_jax.data import image_size
from uda_jax.evaluate import reports
from uda_jax.export import command as export_command
from uda_jax.export import weights_file
from uda_jax.report import page
from uda_jax.runs import restore
from uda_jax.train import command as train_command
from uda_jax.train import interrupts

SOURCE_ONLY, ADAPTED = 'source_only', 'adapted'
RUNS = {SOURCE_ONLY: record_lib.SOURCE_ONLY, ADAPTED: record_lib.CONFIG}
# Divergence of class frequencies, beyond that of the source-only network, from
# which the adapted one has lost classes.
MOST_SHIFT = 0.1
_TITLES = {
  'measure': 'prepare the data, compile, measure',
  SOURCE_ONLY: 'train on the source alone',
  ADAPTED: 'adapt to the target',
  'choose': 'choose a network, without target labels',
  'score': 'score on labeled target images',
  'predict': 'predict the target images',
  'export': 'export the network',
  'report': 'write the page',
}


def load(record: record_lib.Record, name: str) -> Any:
  """Returns the config of one of the runs."""
  return configs.load(record.run / RUNS[name])


class Stages:
  """Runs the stages that are left."""

  def __init__(self, record: record_lib.Record):
    """Runs nothing yet.

    Args:
      record: of the command.
    """
    self._record = record

  def run(self, name: str, function: Callable[[], Any]) -> Any:
    """Runs a stage unless it is done; returns its result."""
    number = f'[{list(_TITLES).index(name) + 1}/{len(_TITLES)}]'
    stages = self._record.stages
    if name in stages:
      print(f'{number} {_TITLES[name]}: done', flush=True)
      return stages[name]
    print(f'\n{number} {_TITLES[name]}{self._expected(name)}', flush=True)
    result = function()
    self._record.finish(name, result)
    return result

  def _expected(self, name: str) -> str:
    """Returns how long a stage and all that are left take, '' if unknown."""
    seconds = self._record.stages.get('measure', {}).get('seconds', {})
    if name not in seconds:
      return ''
    left = sum(seconds[x] for x in seconds if x not in self._record.stages)
    return (
      f': about {duration.text(seconds[name])}, '
      f'{duration.text(left)} with the stages after it'
    )


def plan(
  record: record_lib.Record,
  args: argparse.Namespace,
  begun: float,
  write_steps: Callable[[int], None] | None,
) -> dict[str, Any]:
  """Measures both runs, and fits them into --minutes.

  Args:
    record: of the command.
    args: of the command.
    begun: when the command began (`time.monotonic`).
    write_steps: writes the config with a number of steps; None if it stays.
  """
  costs = {}
  for name in RUNS:
    config = load(record, name)
    costs[name] = measure.cost(config, record.run / name)
    jax.clear_caches()
  images = len(predictions.target_images(config, args.predict or 2**31))
  left = None
  if args.minutes and write_steps:
    left = 60 * args.minutes - (time.monotonic() - begun)
  fitted = budget.fit(
    costs,
    left=left,
    steps=config.steps,
    images=images,
    scored=_count_scored(record),
  )
  if left is not None and write_steps:
    write_steps(fitted.steps)
    print(
      f'steps {fitted.steps}: {duration.text(left)} of {args.minutes:g} '
      'minutes are left; a step of both runs takes '
      f'{sum(cost.step for cost in costs.values()):.2f}s, the rest is for '
      'evaluations, predictions and a reserve of a tenth  [--minutes, --steps]'
    )
  total = sum(fitted.seconds.values())
  print(
    f'predictions {fitted.predictions} of {images} wanted; all of it takes '
    f'about {duration.text(total)}  [--predict]',
    flush=True,
  )
  return fitted._asdict()


def train(record: record_lib.Record, name: str) -> dict[str, Any]:
  """Trains one of the runs; returns its reports without their matrices."""
  config = load(record, name)
  # Inside of the command's own, which has nothing to save.
  with interrupts.Interrupts(command=True) as handler:
    result = train_command.run(config, record.run / name, handler)
  jax.clear_caches()
  return {
    row: {key: value for key, value in report.items() if key != 'confusion'}
    for row, report in result.reports.items()
  }


def reported(record: record_lib.Record, name: str) -> dict[str, Any]:
  """Returns the report of the network that a run reports."""
  config = restore.read_config(record.run / name)
  rows = record.stages[name]
  # Without evaluations during training, the best is the last.
  row = restore.reported(config)
  return rows[row if row in rows else config.eval.network]


def choose(record: record_lib.Record) -> str:
  """Returns the adapted run unless it has lost classes, by predictions alone.

  Self-training fails by predicting some classes ever more often: their
  frequencies on the target then move away from those of the source. Entropies
  of two runs say little, as networks are certain of what they get wrong.
  """
  shifts = {}
  for name in RUNS:
    report = reported(record, name)
    if 'shift' not in report.get('label_free', {}):
      raise ValueError(
        'config.eval.label_free.num_images: expected 1 or more, since runs are '
        'compared without labels, got 0'
      )
    shifts[name] = report['label_free']['shift']
  lost = shifts[ADAPTED] > shifts[SOURCE_ONLY] + MOST_SHIFT
  chosen = SOURCE_ONLY if lost else ADAPTED
  listed = ', '.join(f'{name} {value:.3f}' for name, value in shifts.items())
  print(
    f'chosen: {chosen}; class frequencies on unlabeled target images diverge '
    f'from those of the source by (nats) {listed}; the adapted network is '
    f'chosen unless it is {MOST_SHIFT:g} above'
  )
  return chosen


def _count_scored(record: record_lib.Record) -> int:
  fields = target_record.read(record.run / 'found')
  if fields is None:
    return 0
  return len(pathlib.Path(fields['files']).read_bytes().splitlines())


def _labeled(record: record_lib.Record) -> Any:
  """Returns the manifest of labeled target images, None without any."""
  fields = target_record.read(record.run / 'found')
  return fields and scoring.load(load(record, ADAPTED), fields)


def score(record: record_lib.Record) -> dict[str, Any] | None:
  """Scores both runs on labeled target images; None without any."""
  data = _labeled(record)
  if data is None:
    print('there are none: see the scores on held-out source images')
    return None
  found = {name: scoring.score(record.run / name, data) for name in RUNS}
  return {'name': data.name, 'reports': found}


def predict(record: record_lib.Record, most: int) -> int:
  """Predicts target images with the chosen network; returns failures."""
  run = record.run / record.stages['choose']
  return predictions.write(run, record.run / 'predictions', most)


def export(record: record_lib.Record) -> list[str]:
  """Writes StableHLO and safetensors files of the chosen network."""
  run, out = record.run / record.stages['choose'], record.run / 'exported'
  config = restore.read_config(run)
  first = next(iter(predictions.target_images(config, 1).values()))
  size = _seen_size(config, first)
  arguments = argparse.Namespace(
    workdir=run, network='', out=out, size=size, batch_size=1, onnx=False
  )
  lines = export_command.run(arguments)
  path = out / 'network.safetensors'
  count = weights_file.write(run, '', path)
  lines = [*lines, f'{path}: {count} tensors']
  print('\n'.join(lines))
  return lines


def _seen_size(config: types.Config, image: pathlib.Path) -> tuple[int, int]:
  from uda_jax.adapt import sizes

  [size] = sizes.read([image])
  return image_size.seen(config.data).of(size)


def report(record: record_lib.Record) -> str:
  """Writes the page about both runs; returns its address."""
  paths = [record.run / name for name in RUNS]
  drawings.draw(paths, _labeled(record))
  return page.write(paths, record.run / 'report.html')


def results(record: record_lib.Record) -> str:
  """Returns the table of scores of both runs."""
  scores = record.stages['score']
  if scores:
    name, rows = scores['name'], scores['reports']
  else:
    name = restore.read_config(record.run / ADAPTED).data.evaluation.name
    rows = {run: dict(reported(record, run)) for run in RUNS}
    for row in rows.values():
      row.pop('selected', None)
  return f'Scores on {name}, in percent:\n' + reports.format_table(rows)


def plan_of(record: record_lib.Record) -> budget.Plan:
  """Returns the plan of an earlier or this start."""
  return budget.Plan(**record.stages['measure'])
