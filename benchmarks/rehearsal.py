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
config whose train step plans more is compiled only, and rehearsed with
recomputation (`model.remat`) where it has that switch off; its record says so.
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
from benchmarks import rehearsal_table
from uda_jax import configs
from uda_jax import files

BENCHMARKS = (
  'gta5_to_cityscapes',
  'synthia_to_cityscapes',
  'cityscapes_to_acdc',
  'cityscapes_to_dark_zurich',
)


# Takes less memory, and computes the same.
REMAT = '--config.model.remat=True'


def config_names() -> list[str]:
  """Returns the names of all published configs."""
  return [n for n in configs.paths() if n.split('/')[0] in BENCHMARKS]


def start_weights(config_name: str) -> str:
  """Returns the weight file that a config starts from."""
  benchmark, name = config_name.split('/')
  source = 'synthia' if benchmark.startswith('synthia') else 'gta5'
  if name in ('pixmatch_start', 'ehtdi_start', 'lse_deeplab_start'):
    return 'DeepLab_resnet_pretrained_init-f81d91e8.pth'
  if name.startswith(('pixmatch', 'ehtdi')):
    return f'{source.upper()}_source.pth#shadow'
  if name == 'lse_start':
    return 'vgg16-397923af.pth'
  if name.startswith('lse_deeplab'):
    return f'{source}_deeplab_resnet101_init.pth'
  if name.startswith('lse'):
    return f'{source}_vggfcn_init.pth'
  return 'mit_b5.pth'


def overrides(config_name: str, steps: int) -> dict[str, Any]:
  """Returns the fields that shorten each phase of a run to `steps` steps."""
  config = configs.load(config_name)
  changes: dict[str, Any] = {
    # The run is stopped in its middle.
    'steps': 2 * steps,
    'log.every': 1,
    'checkpoint.every': 1,
    'eval.every': 0,
    'eval.label_free.num_images': 0,
    'eval.target_statistics': 0,
    # Rendered images have few of the rarer classes.
    'data.rare_class.min_pixels': 1.0,
    'data.rare_class.min_crop_ratio': 0.0,
  }
  if config.method.name == 'lse':
    # Two updates in each of the seven rounds, on patches of few images.
    return changes | {'steps': 7 * steps, 'rounds.divisor': 1}
  add = config.method.add
  if 'patch_contrast' in add:
    changes['method.patch_contrast.start'] = steps
    changes['data.pair.first_step'] = steps
  if 'cluda_contrast' in add and config.method.cluda_contrast.entropy_start:
    changes['method.cluda_contrast.entropy_start'] = steps
  return changes


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


def _recomputes(config_name: str) -> bool:
  """Returns whether the network recomputes already or cannot."""
  return configs.load(config_name).model.get('remat', True)


def read_record(out: pathlib.Path, config_name: str) -> dict[str, Any] | None:
  """Returns the record of a config, None without one."""
  path = Rehearsal(config_name, out, 0).record()
  return json.loads(path.read_text()) if path.exists() else None


class Rehearsal(NamedTuple):
  """A config, with the folders that all configs share.

  Attributes:
    config_name: name of the config.
    out: the folder for everything.
    steps: of each phase.
    extra: further options of the training, such as another dtype.
    memory: GiB that a train step may plan; 0: any number.
  """

  config_name: str
  out: pathlib.Path
  steps: int
  extra: tuple[str, ...] = ()
  memory: float = 0.0

  @property
  def workdir(self) -> pathlib.Path:
    return self.out / 'runs' / self.config_name

  def options(self) -> list[str]:
    """Returns the trainer's options."""
    weights = self.out / 'weights' / start_weights(self.config_name)
    fields = {
      'data.root': self.out / 'trees',
      'data.cache_dir': self.out / 'cache',
      'model.weights': weights,
      **overrides(self.config_name, self.steps),
    }
    return [
      f'--config={self.config_name}',
      *(f'--config.{name}={value}' for name, value in fields.items()),
      *self.extra,
    ]

  def log(self, name: str) -> pathlib.Path:
    return self.out / 'logs' / self.config_name / f'{name}.txt'

  def exported(self) -> pathlib.Path:
    return self.out / 'exported' / f'{self.config_name}.safetensors'

  def record(self) -> pathlib.Path:
    return self.out / 'records' / f'{self.config_name}.json'


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
      print(f'{item.config_name}: {name}', flush=True)
      used[name] = commands.run(line, item.log(name), **options.get(name, {}))
    check_weights(item.workdir, item.exported())
  except commands.Failed as error:
    end = {'error': str(error)}
  except commands.TooLarge as error:
    end = {'compiled_only': str(error)}
  return _record(item, used) | end


def _record(item: Rehearsal, used: dict[str, commands.Usage]) -> dict[str, Any]:
  """Returns what was measured of the commands that ended as expected."""
  logs = [item.log(x) for x in ('train', 'resume') if item.log(x).exists()]
  found = commands.losses(*logs)
  programs = [x for log in logs for x in commands.programs(log.read_text())]
  return {
    'config': item.config_name,
    'options': item.extra,
    'steps': len(found),
    'losses': found,
    'finite': all(map(math.isfinite, found.values())),
    'device': jax.devices()[0].device_kind,
    'programs': [program._asdict() for program in programs],
    'gib': max((usage.gib for usage in used.values()), default=0.0),
    'seconds': {name: usage.seconds for name, usage in used.items()},
    'jax': jax.__version__,
    'date': time.strftime('%Y-%m-%d'),
  }


def main() -> None:
  """Reads the arguments."""
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
  parser.add_argument(
    '--again', action='store_true', help='also what has a record'
  )
  parser.add_argument(
    '--table', action='store_true', help='print the records and exit'
  )
  args, extra = parser.parse_known_args()
  out = args.out.absolute()
  if args.table:
    records = [read_record(out, config_name) for config_name in config_names()]
    print(rehearsal_table.table([x for x in records if x]))
    return
  published_trees.write(out / 'trees', images=args.images)
  published_weights.write(out / 'weights')
  failed = 0
  names = args.configs.split(',') if args.configs else config_names()
  for config_name in names:
    before = read_record(out, config_name)
    if not args.again and before and 'error' not in before:
      continue
    item = Rehearsal(config_name, out, args.steps, tuple(extra), args.memory)
    record = rehearse(item)
    if 'compiled_only' in record and not _recomputes(config_name):
      published = {'as_published': record['compiled_only']}
      record = rehearse(item._replace(extra=(*extra, REMAT))) | published
    failed += 'error' in record
    print(json.dumps(record), flush=True)
    files.write_atomically(item.record(), files.to_json(record))
  sys.exit(bool(failed))


if __name__ == '__main__':
  main()
