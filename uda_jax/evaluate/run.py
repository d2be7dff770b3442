"""Scores a run's network on a labelled split.

  python -m uda_jax.evaluate --workdir=RUN --out=FOLDER
  python -m uda_jax.evaluate --workdir=RUN --out=FOLDER --network=teacher \
      --scales=0.75,1,1.25 --flip --config=LEAF --config.data.root=DIR

writes results.json, results.csv (a row a class and a mean) and results.txt. The
split is `config.data.evaluation` of the run, or of another leaf; fields of
`config.data` and `config.eval` are overridden by --config.FIELD=VALUE.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import pathlib
from typing import Any

from absl import flags
import jax
from ml_collections import config_flags

from uda_jax import cli
from uda_jax import parallel
from uda_jax.data import datasets
from uda_jax.evaluate import evaluator
from uda_jax.evaluate import reports
from uda_jax.evaluate import selection
from uda_jax.runs import restore


def read_config(base: Any, args: Sequence[str]) -> Any:
  """Returns the config that says what is scored, and how.

  Args:
    base: the run's config.
    args: `--config=LEAF` and `--config.FIELD=VALUE`, as the trainer takes them.

  Returns:
    `base`, or the leaf, with the overrides.
  """
  argv = ['evaluate', *args]
  # Overrides are looked up in all arguments, before they are parsed.
  options = dict(flag_values=flags.FlagValues(), sys_argv=argv)
  try:
    if any(arg.startswith('--config=') for arg in args):
      config_flags.DEFINE_config_file('config', **options)
    else:
      config_flags.DEFINE_config_dict('config', base, **options)
    left = options['flag_values'](argv)[1:]
  except (flags.Error, AttributeError, KeyError, TypeError) as error:
    raise ValueError(f'--config: {error}') from error
  if left:
    raise ValueError(f'expected flags, got {left[0]!r}')
  return options['flag_values'].config


def run(
  args: argparse.Namespace, config_args: Sequence[str]
) -> dict[str, dict[str, Any]]:
  """Scores what the arguments name, and writes the results."""
  trained = restore.load(args.workdir, args.network)
  config = read_config(trained.config, config_args)
  if args.scales:
    config.eval.scales = args.scales
  config.eval.flip = args.flip or config.eval.flip
  data = datasets.load(
    config.data.evaluation,
    root=config.data.root,
    cache_dir=config.data.cache_dir,
    field='config.data.evaluation',
    labels=True,
  )
  if tuple(data.class_names) != trained.class_names:
    raise ValueError(
      f'config.data.evaluation: expected the classes of {args.workdir}, '
      f'{trained.class_names}, got {tuple(data.class_names)}'
    )
  mesh = parallel.make_mesh(config.get('devices') or None)
  variables = jax.device_put(trained.variables, parallel.replicated(mesh))
  score = evaluator.make_labeled(config, trained.network, data, mesh)
  name = args.network or trained.config.eval.network
  report = score(variables) | selection.told(trained.config, name)
  views = f'scales {", ".join(f"{s:g}" for s in config.eval.scales)}' + (
    ', each also mirrored' if config.eval.flip else ''
  )
  reports.write_results(
    args.out,
    {name: report},
    [
      f'{args.workdir}: the {name} on {data.name}, {len(data.image_paths)} '
      f'images, {views}.'
    ],
  )
  return {name: report}


def _scales(text: str) -> tuple[float, ...]:
  return tuple(map(float, text.split(',')))


def main() -> None:
  """Reads the arguments; an error is one line."""
  parser = argparse.ArgumentParser(
    prog='python -m uda_jax.evaluate',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    '--workdir',
    type=pathlib.Path,
    required=True,
    help='the directory of the run',
  )
  parser.add_argument(
    '--network',
    default='',
    choices=('student', 'teacher', 'best'),
    help='default: the one that the run reports',
  )
  parser.add_argument(
    '--scales',
    type=_scales,
    metavar='S,S,...',
    help="factors of the image size to average over; default: the config's",
  )
  parser.add_argument(
    '--flip', action='store_true', help='average over mirrored images, too'
  )
  parser.add_argument(
    '--out', type=pathlib.Path, required=True, help='the folder for the results'
  )
  args, rest = parser.parse_known_args()
  cli.plain_log()
  try:
    print(reports.format_table(run(args, rest)))
  except (ValueError, OSError) as error:
    raise SystemExit(f'error: {error}') from error
