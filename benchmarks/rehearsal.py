"""Rehearses every published run at full size, with few steps.

  python -m benchmarks.rehearsal --out=DIR [--configs=gta5_to_cityscapes/pipa]
  python -m benchmarks.rehearsal --out=DIR --steps=50      (on a GPU)

For each config of a published benchmark: prepares rendered data in the
published layouts (`benchmarks.published_trees`), starts from a weight file of
the published shapes and names (`benchmarks.published_weights`), takes steps
before and after each phase switch, is stopped and resumed, scores on full-size
labels, predicts, exports the weights and loads them back; with the real
networks, crops and groups, by the commands that a user types. The first steps
of the phases are overridden so that they come early.

A config's record is `DIR/records/BENCHMARK/NAME.json`; a second start runs the
missing and the failed ones. --table prints the records as a table in Markdown.
Options `--config.FIELD=VALUE` are passed to every training run. With --memory a
config whose train step plans more is compiled only, which its record says. With
--half all training images have half the height and width, and the records are
`NAME_half.json`; scoring stays at full size. With --trace the train steps are
traced at full size and nothing is computed (`NAME_trace.json`): minutes for all
configs, on any machine.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import shutil
import sys
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import published_trees
from benchmarks import published_weights
from benchmarks import rehearsal_commands as commands
from benchmarks import rehearsal_configs as published
from benchmarks import rehearsal_table
from benchmarks import rehearsal_trace
from uda_jax import configs
from uda_jax import files
from uda_jax.configs import overrides


def check_weights(workdir: pathlib.Path, exported: pathlib.Path) -> None:
  """Raises unless the exported file gives the run's network, bit for bit."""
  from uda_jax import models
  from uda_jax.runs import restore

  trained = restore.load(workdir)
  config = trained.config.copy_and_resolve_references()
  with config.unlocked():
    config.model.weights = str(exported)
    config.model.allow_target_labels = True
  network = models.build(config, len(trained.class_names))
  again = network.init(jax.random.key(1), (512, 512))
  same = jax.tree.map(np.array_equal, trained.variables, again)
  if not all(jax.tree.leaves(same)):
    raise commands.Failed(f'{exported}: other values than those of the run')


class Rehearsal(NamedTuple):
  """A config, with the folders that all configs share.

  Attributes:
    config_name: name of the config.
    out: the folder for everything.
    steps: of each phase.
    extra: further options of the training, such as another dtype.
    memory: GiB that a train step may plan; 0: any number.
    how: '', 'half' or 'trace', see the options of the command.
  """

  config_name: str
  out: pathlib.Path
  steps: int = 1
  extra: tuple[str, ...] = ()
  memory: float = 0.0
  how: str = ''

  @property
  def name(self) -> str:
    return self.config_name + (f'_{self.how}' if self.how else '')

  @property
  def workdir(self) -> pathlib.Path:
    return self.out / 'runs' / self.name

  def changes(self) -> list[str]:
    """Returns the options beside data, weights and the length of the run."""
    sizes = published.halved(self.config_name) if self.how == 'half' else {}
    return [
      *(f'--config.{name}={value}' for name, value in sizes.items()),
      *self.extra,
    ]

  def options(self) -> list[str]:
    """Returns the trainer's options."""
    weights = self.out / 'weights' / published.start_weights(self.config_name)
    frozen = published.reference_weights(self.config_name)
    fields = {
      'data.root': self.out / 'trees',
      'data.cache_dir': self.out / 'cache',
      'model.weights': weights,
      **published.overrides(self.config_name, self.steps),
    }
    if frozen:
      fields['model.reference.weights'] = self.out / 'weights' / frozen
    return [
      f'--config={self.config_name}',
      *(f'--config.{name}={value}' for name, value in fields.items()),
      *self.changes(),
    ]

  def log(self, name: str) -> pathlib.Path:
    return self.out / 'logs' / self.name / f'{name}.txt'

  def exported(self) -> pathlib.Path:
    return self.out / 'exported' / f'{self.name}.safetensors'

  def record(self) -> pathlib.Path:
    return self.out / 'records' / f'{self.name}.json'


TARGETS = {
  'acdc': 'acdc/rgb_anon/fog/val/*/*.png',
  'zurich': 'dark_zurich/rgb_anon/val/night/*/*.png',
  'cityscapes': 'cityscapes/leftImg8bit/val/*/*.png',
}


def command_lines(item: Rehearsal) -> dict[str, list[str]]:
  """Returns what follows `python -m` by name."""
  workdir = f'--workdir={item.workdir}'
  train = ['uda_jax.main', *item.options(), workdir]
  target = TARGETS[item.config_name.split('/')[0].split('_')[-1]]
  return {
    'prepare': ['uda_jax.data.prepare', *item.options()],
    'train': train,
    'resume': train,
    'evaluate': [
      'uda_jax.evaluate',
      workdir,
      f'--out={item.out / "scores" / item.config_name}',
    ],
    'predict': [
      'uda_jax.predict',
      workdir,
      f'--images={item.out / "trees" / target}',
      f'--out={item.out / "predictions" / item.config_name}',
    ],
    'export': ['uda_jax.export.weights', workdir, f'--out={item.exported()}'],
  }


def rehearse(item: Rehearsal) -> dict[str, Any]:
  """Runs all commands of one config; returns its record."""
  used: dict[str, commands.Usage] = {}
  end = {}
  shutil.rmtree(item.workdir, ignore_errors=True)
  options: dict[str, dict[str, Any]] = {
    'train': dict(stop_at=f'step {item.steps}/', code=75, memory=item.memory),
    'resume': dict(memory=item.memory),
  }
  try:
    for name, line in command_lines(item).items():
      print(f'{item.name}: {name}', flush=True)
      used[name] = commands.run(line, item.log(name), **options.get(name, {}))
    check_weights(item.workdir, item.exported())
  except commands.Failed as error:
    end = {'error': str(error)}
  except commands.TooLarge as error:
    end = {'compiled_only': str(error)}
  return _record(item, used) | end


def trace(item: Rehearsal) -> dict[str, Any]:
  """Traces the train steps of one config; returns its record."""
  options = item.options()[1:]
  config = overrides.apply(configs.load(item.config_name), options)
  try:
    found = rehearsal_trace.trace(config)
  except Exception as error:  # a record, and the next config
    found = {'error': f'{type(error).__name__}: {error}'}
  return {'config': item.config_name} | found | _made()


def _made() -> dict[str, str]:
  return {'jax': jax.__version__, 'date': time.strftime('%Y-%m-%d')}


def _record(item: Rehearsal, used: dict[str, commands.Usage]) -> dict[str, Any]:
  """Returns what was measured of the commands that ended as expected."""
  logs = [item.log(x) for x in ('train', 'resume') if item.log(x).exists()]
  found = commands.losses(*logs)
  programs = [x for log in logs for x in commands.programs(log.read_text())]
  return {
    'config': item.name,
    'options': item.changes(),
    'steps': len(found),
    'losses': found,
    'finite': all(map(math.isfinite, found.values())),
    'device': jax.devices()[0].device_kind,
    'programs': [program._asdict() for program in programs],
    'gib': max((usage.gib for usage in used.values()), default=0.0),
    'seconds': {name: usage.seconds for name, usage in used.items()},
  } | _made()


def read_records(out: pathlib.Path, *hows: str) -> list[dict[str, Any]]:
  """Returns the records of some kinds, in the order of the configs' names."""
  items = [
    Rehearsal(config_name, out, how=how)
    for config_name in published.config_names()
    for how in hows
  ]
  return [
    json.loads(item.record().read_text())
    for item in items
    if item.record().exists()
  ]


def _parser() -> argparse.ArgumentParser:
  """Returns the flags; all others are options of the runs."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument(
    '--configs', default='', help='with commas; default: all published configs'
  )
  parser.add_argument(
    '--steps', type=int, default=1, help='of each phase (default: 1)'
  )
  parser.add_argument('--images', type=int, default=4, help='of each split')
  parser.add_argument(
    '--memory',
    type=float,
    default=0.0,
    help='GiB that a train step may plan (default: 0, any number)',
  )
  how = parser.add_mutually_exclusive_group()
  for name, text in (
    ('half', 'training images of half the height and width'),
    ('trace', 'trace the train steps, compile and compute nothing'),
  ):
    how.add_argument(
      f'--{name}', dest='how', action='store_const', const=name, help=text
    )
  parser.add_argument(
    '--again', action='store_true', help='also what has a record'
  )
  parser.add_argument(
    '--table', action='store_true', help='print the records and exit'
  )
  return parser


def _is_done(path: pathlib.Path) -> bool:
  """Returns whether there is a record without an error."""
  return path.exists() and 'error' not in json.loads(path.read_text())


def main() -> None:
  """Rehearses what the arguments name, or prints the records."""
  args, extra = _parser().parse_known_args()
  out = args.out.absolute()
  if args.table:
    print(rehearsal_table.table(read_records(out, '', 'half')))
    print()
    print(rehearsal_table.traced(read_records(out, 'trace')))
    return
  published_trees.write(out / 'trees', images=args.images)
  published_weights.write(out / 'weights')
  failed = False
  names = args.configs.split(',') if args.configs else published.config_names()
  for config_name in names:
    item = Rehearsal(
      config_name, out, args.steps, tuple(extra), args.memory, args.how or ''
    )
    path = item.record()
    if _is_done(path) and not args.again:
      continue
    record = trace(item) if args.how == 'trace' else rehearse(item)
    failed |= 'error' in record
    print(json.dumps(record), flush=True)
    files.write_atomically(path, files.to_json(record))
  sys.exit(failed)


if __name__ == '__main__':
  main()
