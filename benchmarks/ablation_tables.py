"""Tables of docs/ablations.md, of runs whose images were not counted singly.

results/ablations has their scores by seed, to a tenth of a point, and the IoU
of each class in percent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import pathlib

from benchmarks import rows as rows_lib

_FOLDER = pathlib.Path(__file__).parent / 'results' / 'ablations'


def read(name: str) -> dict[str, list[float]]:
  """Returns the scores by seed of each run of a table, in percent.

  Args:
    name: of the file, without ending.
  """
  with (_FOLDER / f'{name}.csv').open() as file:
    return {
      row['run']: [float(text) for text in row['by seed'].split(' / ')]
      for row in csv.DictReader(file)
    }


def terms() -> str:
  """Returns the terms of the methods on streets."""
  lines = ['| run | mIoU |', '|---|---|']
  for run, scores in read('streets_terms').items():
    lines.append(f'| {run} | {rows_lib.score(scores)} |')
  return '\n'.join(lines) + '\n'


def class_balance(stored: Mapping[str, Sequence[rows_lib.Row]]) -> str:
  """Returns scores without and with class weights.

  Args:
    stored: the rows by benchmark; their configs have class weights.
  """
  lines = [
    '| benchmark | run | without | by seed | with, the config | by seed |',
    '|---|---|---|---|---|---|',
  ]
  for benchmark in ('camvid_to_idd', 'streets_to_camvid'):
    have = {row.name: row for row in stored[benchmark]}
    for run, scores in read(f'{benchmark}_without_class_balance').items():
      cells = [benchmark, run, rows_lib.score(scores), rows_lib.by_seed(scores)]
      row = have.get(run)
      cells += (
        [rows_lib.score(row.scores), rows_lib.by_seed(row.scores)]
        if row
        else ['', '']
      )
      lines.append(f'| {" | ".join(cells)} |')
  return '\n'.join(lines) + '\n'
