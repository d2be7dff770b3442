"""mIoU tables of a benchmark: several runs, several seeds.

  python -m benchmarks.adaptation --benchmark=streets --seeds=0,1,2
  python -m benchmarks.adaptation --benchmark=camvid_to_idd --root=DIR \
      --runs=source_only,self_training,oracle

Every run has a directory of its own under --workdir and resumes there; a run
that is done is not repeated. `<workdir>/<benchmark>.md` holds the table, the
`.csv` beside it the IoU of each class.
"""

from __future__ import annotations

import pathlib

from absl import app
from absl import flags

from benchmarks import runs
from benchmarks import tables

_BENCHMARK = flags.DEFINE_string('benchmark', 'streets', 'Folder in configs/.')
_RUNS = flags.DEFINE_list(
  'runs',
  'source_only,source_augmented,self_training,oracle',
  'Leaves of the benchmark, one table row each.',
)
_SEEDS = flags.DEFINE_list(
  'seeds', '0,1,2', 'Seeds; the table has their mean and standard deviation.'
)
_ROOT = flags.DEFINE_string('root', '', 'config.data.root, for real images.')
_WORKDIR = flags.DEFINE_string('workdir', 'runs', 'Where the runs go.')


def main(argv):
  """Runs everything that is missing and prints the table."""
  del argv
  from uda_jax import cli
  from uda_jax.evaluate import reports as reports_lib

  cli.plain_log()
  workdir = pathlib.Path(_WORKDIR.value)
  reports = {}
  for leaf in _RUNS.value:
    for seed in _SEEDS.value:
      result = runs.one_run(
        _BENCHMARK.value, leaf, int(seed), root=_ROOT.value, workdir=workdir
      )
      for name, report in result.reports.items():
        name = reports_lib.row_name(name, report)
        reports.setdefault(f'{leaf} ({name})', []).append(report)
    table = tables.write(reports, workdir, _BENCHMARK.value)
  print(table)


if __name__ == '__main__':
  app.run(main)
