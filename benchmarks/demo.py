"""`make demo`: what adaptation changes, on rendered streets, in a few minutes.

Trains on clean, game-like scenes alone, trains again with unlabeled,
camera-like scenes, scores both networks on other camera-like scenes, and draws
their predictions side by side. The last line is the address of a page about the
runs. --oracle adds the upper bound, trained on the target's labels.

  python -m benchmarks.demo [--oracle] [--seed=N] [--workdir=DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import pathlib

from benchmarks import runs
from uda_jax import cli

_NUM_ROWS = 6
# 200 steps less than in docs/reproduce.md, without the scores that it does not
# show: under four minutes on two cores.
_CHANGES = {
  'devices': 1,  # whatever the machine has
  'steps': 800,
  'eval.target_statistics': 0,
  'eval.label_free.num_images': 0,
}

# Column title -> config in configs/streets.
_CONFIGS = {'source-only': 'source_only', 'adapted': 'self_training'}


def gallery(path: pathlib.Path, results: dict) -> None:
  """Draws images of the target test split: truth and each run's prediction.

  Args:
    path: the PNG.
    results: column title -> `train.Result`.
  """
  from uda_jax import galleries
  from uda_jax import pictures
  from uda_jax.data import splits
  from uda_jax.evaluate import inference

  run = next(iter(results.values())).run
  data = run.data.evaluation
  batch = next(splits.eval_batches(data, batch_size=_NUM_ROWS))
  assert batch.label is not None  # the street scenes have labels
  columns = [batch.image, batch.label]
  size = batch.label.shape[1:]
  for result in results.values():
    predict = inference.make_predict(result.run.recipe.network)
    columns.append(predict(result.variables, batch.image, size))
  page = galleries.gallery(
    list(zip(*columns)),
    titles=('image', 'truth', *results),
    palette=data.palette,
    class_names=data.class_names,
  )
  pictures.write_png(path, page)


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.demo', __doc__)
  group = result.add_argument_group('demo')
  group.add_argument(
    '--oracle', action='store_true', help='also train on target labels'
  )
  cli.add_seed(group, 'of the runs')
  group.add_argument(
    '--workdir',
    type=pathlib.Path,
    default=pathlib.Path('runs/demo'),
    metavar='DIR',
    help='where the runs go; those found there are resumed; default: runs/demo',
  )
  return result


def demo(args: argparse.Namespace) -> None:
  """Trains, draws and prints the scores."""
  configs = dict(_CONFIGS) | ({'oracle': 'oracle'} if args.oracle else {})
  with cli.hidden_stderr(not args.debug):
    import uda_jax.train.loop  # noqa: F401, with TensorFlow
  results = {
    title: runs.one_run(
      'streets',
      config,
      args.seed,
      root='',
      workdir=args.workdir,
      changes=_CHANGES,
    )
    for title, config in configs.items()
  }
  path = (args.workdir / f'gallery_seed{args.seed}.png').absolute()
  gallery(path, results)
  from uda_jax.evaluate import reports

  print('\nScores on camera-like scenes (target test), in percent:')
  print(
    reports.format_table(
      {
        title: result.reports[result.run.config.eval.network]
        for title, result in results.items()
      }
    )
  )
  print(f'Pictures: {path}')
  from uda_jax.report import page

  paths = [result.run.workdir for result in results.values()]
  print(page.write(paths, args.workdir / f'report_seed{args.seed}.html'))


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), demo, argv)


if __name__ == '__main__':
  main()
