"""Stored results of runs: scores that anyone can make again from counts.

A file holds one run: `results/runs/BENCHMARK/CONFIG/steps800_seed0.json`, with
the confusion matrix of each network, intersection and union of every image and
class, the criteria without labels, and what made it (commit, versions, device).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any, NamedTuple

import numpy as np

from benchmarks import plan
from uda_jax import files
from uda_jax.evaluate import by_image
from uda_jax.evaluate import metrics
from uda_jax.evaluate import reports

FOLDER = pathlib.Path(__file__).parent / 'results' / 'runs'


class Network(NamedTuple):
  """Scores of one network of a run.

  Attributes:
    confusion: [C, C] int64, rows truth.
    counts: [N, C, 2] int64, intersection and union of each image.
    label_free: statistics without labels, see `selection.summarize`.
  """

  confusion: np.ndarray
  counts: np.ndarray
  label_free: Mapping[str, float]


class Record(NamedTuple):
  """The stored results of a run.

  Attributes:
    job: which run it is.
    reported: the network that the run reports.
    classes: C names.
    names: hash of the names of the images.
    networks: by name.
    evaluations: during the run, rows `step`, `miou`, `label_free`.
    made_by: commit, versions, device and date.
  """

  job: plan.Job
  reported: str
  classes: tuple[str, ...]
  names: str
  networks: Mapping[str, Network]
  evaluations: Sequence[Mapping[str, Any]]
  made_by: Mapping[str, Any]


def path(folder: pathlib.Path, job: plan.Job) -> pathlib.Path:
  """Returns the file of a run."""
  name = f'steps{job.steps}_seed{job.seed}.json'
  return folder / job.benchmark / job.config / name


def write(folder: pathlib.Path, job: plan.Job, workdir: pathlib.Path) -> None:
  """Stores the results of a finished run.

  Networks that target labels chose ('best') are left out.

  Args:
    folder: of all files.
    job: the run.
    workdir: its directory.
  """
  from uda_jax.report import read

  run = read.runs([workdir])[0]
  found = {
    name: report
    for name, report in run.results.items()
    if 'selected' not in report
  }
  lacking = [name for name, report in found.items() if 'images' not in report]
  if lacking or not found:
    raise ValueError(
      f'{workdir / "results.json"}: expected counts of images for '
      f'{lacking or "a network"}; delete it and start the run again, '
      'which only evaluates'
    )
  first = next(iter(found.values()))
  start = run.starts[-1]
  record = {
    **job._asdict(),
    'network': run.config['eval']['network'],
    'classes': list(first['iou']),
    'names': first['images']['names'],
    'made_by': {
      key: start.get(key)
      for key in ('date', 'git', 'python', 'packages', 'devices')
    },
    'evaluations': _evaluations(run.curves),
    'networks': {name: _network(report) for name, report in found.items()},
  }
  files.write_atomically(path(folder, job), files.to_json(record))


def _network(report: Mapping[str, Any]) -> dict[str, Any]:
  return {
    'miou': report['miou'][reports.ALL],
    'pixel_accuracy': report['pixel_accuracy'],
    'confidence': report['images']['confidence'],
    'label_free': report.get('label_free', {}),
    'confusion': [' '.join(map(str, row)) for row in report['confusion']],
    'counts': report['images']['counts'],
  }


def _evaluations(curves: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Returns the scores along a run, rounded as float32 curves are."""
  free = 'eval/label_free/'
  score = curves.get(f'eval/miou/{reports.ALL}')
  if score is None:
    return []
  at = {
    name: dict(zip(curve.steps.tolist(), curve.values.tolist()))
    for name, curve in curves.items()
    if name.startswith(free)
  }
  return [
    {
      'step': step,
      'miou': round(value, 7),
      'label_free': {
        name.removeprefix(free): round(values[step], 7)
        for name, values in at.items()
        if step in values
      },
    }
    for step, value in zip(score.steps.tolist(), score.values.tolist())
  ]


def read(file: pathlib.Path) -> Record:
  """Reads a file, and checks that its numbers fit each other.

  Raises:
    ValueError: they do not, or the file is something else.
  """
  try:
    found = json.loads(file.read_text())
    job = plan.Job(*(found[name] for name in plan.Job._fields))
    record = Record(
      job=job,
      reported=found['network'],
      classes=tuple(found['classes']),
      names=found['names'],
      networks={n: _read(x) for n, x in found['networks'].items()},
      evaluations=found['evaluations'],
      made_by=found['made_by'],
    )
    scores = {name: x['miou'] for name, x in found['networks'].items()}
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(
      f'{file}: expected the stored results of a run, got something else '
      f'({type(error).__name__}: {error})'
    ) from error
  expected = path(pathlib.Path(), job)
  if file.parts[-3:] != expected.parts:
    raise ValueError(f'{file}: expected at {expected}, as its content says')
  for name, network in record.networks.items():
    _check(f'{file}: {name}', network, scores[name], len(record.classes))
  return record


def _read(found: Mapping[str, Any]) -> Network:
  rows = [[int(x) for x in row.split()] for row in found['confusion']]
  return Network(
    np.array(rows, np.int64),
    by_image.unpacked(found['counts']),
    found['label_free'],
  )


def _check(where: str, network: Network, score: float, classes: int) -> None:
  """Raises ValueError unless counts, confusion and score are one another's."""
  if network.confusion.shape != (classes, classes):
    raise ValueError(f'{where}: expected a confusion of {classes} classes')
  whole = by_image.intersections(network.confusion)
  if not np.array_equal(network.counts.sum(0), whole):
    raise ValueError(f'{where}: the counts of the images do not add up')
  again = metrics.mean_iou(network.confusion)
  if abs(again - score) > 1e-9:
    raise ValueError(f'{where}: expected a mean IoU of {again}, got {score}')


def read_all(folder: pathlib.Path = FOLDER) -> list[Record]:
  """Returns all stored results, by benchmark, config, steps and seed.

  Raises:
    ValueError: a file is damaged, or runs of a benchmark have other images or
      classes.
  """
  found = [read(file) for file in folder.glob('*/*/*.json')]
  order = plan.benchmarks()
  rank = lambda name: order.index(name) if name in order else len(order)
  found.sort(
    key=lambda r: (
      rank(r.job.benchmark),
      r.job.benchmark,
      _position(r.job),
      r.job.config,
      r.job.steps,
      r.job.seed,
    )
  )
  of: dict[str, Record] = {}
  for record in found:
    first = of.setdefault(record.job.benchmark, record)
    if (first.names, first.classes) != (record.names, record.classes):
      raise ValueError(
        f'{path(folder, record.job)}: expected the images and classes of '
        f'{path(folder, first.job)}, got others: their scores do not compare'
      )
  return found


def _position(job: plan.Job) -> int:
  """Returns the place of a config in the plan."""
  names = [
    config
    for row in plan.PLAN
    if row.benchmark == job.benchmark
    for config in row.configs
  ]
  return names.index(job.config) if job.config in names else len(names)


def report(record: Record, network: str) -> dict[str, Any]:
  """Returns the scores of a network, made anew from its confusion."""
  found = record.networks[network]
  scores = reports.report(
    found.confusion,
    record.classes,
    {reports.ALL: range(len(record.classes))},
  )
  return scores | {'label_free': found.label_free}
