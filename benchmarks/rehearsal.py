"""Rehearses every published run at full size, with few steps.

  python -m benchmarks.rehearsal --out=DIR [--configs=gta5_to_cityscapes/pipa]
  python -m benchmarks.rehearsal --out=DIR --steps=50 --configs=...   (on a GPU)
  python -m benchmarks.rehearsal --out=DIR --table

For each config of a published benchmark: prepares rendered data in the
published layouts (`benchmarks.published_trees`), starts from a weight file of
the published shapes and names (`benchmarks.published_weights`), takes steps
before and after each phase switch, is stopped and resumed, scores on full-size
labels, predicts, exports the weights and loads them back; with the real
networks, crops and groups, by the commands that a user types. The first steps
of the phases are overridden so that they come early.

A config's record is `DIR/records/BENCHMARK/NAME.json`; a second start runs the
missing configs. --table prints the records as a table in Markdown. Options
`--config.FIELD=VALUE` are passed to every training run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import published_trees
from benchmarks import published_weights
from uda_jax import configs
from uda_jax import files

BENCHMARKS = (
  'gta5_to_cityscapes',
  'synthia_to_cityscapes',
  'cityscapes_to_acdc',
  'cityscapes_to_dark_zurich',
)
# The commands of a record, in order.
COMMANDS = ('prepare', 'train', 'resume', 'evaluate', 'predict', 'export')
_LOSS = re.compile(r'step (\d+)/\d+ .*?loss (\S+)')


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


class Failed(Exception):
  """A command that failed."""


class Usage(NamedTuple):
  """Cost of a command: wall-clock seconds and peak memory."""

  seconds: float
  gib: float


def run(
  args: list[str], log: pathlib.Path, *, stop_at: str = '', code: int = 0
) -> Usage:
  """Runs a module of this library.

  Args:
    args: what follows `python -m`.
    log: the file that keeps what the command prints.
    stop_at: a text of the log after which the command gets SIGTERM.
    code: the exit code to expect.

  Raises:
    Failed: with the last line that was printed.
  """
  log.parent.mkdir(parents=True, exist_ok=True)
  begin = time.monotonic()
  with log.open('w') as file:
    process = subprocess.Popen(
      [sys.executable, '-m', *args], stdout=file, stderr=subprocess.STDOUT
    )
  while True:
    ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    if ended:
      break
    if stop_at and stop_at in log.read_text():
      process.send_signal(signal.SIGTERM)
      stop_at = ''
    time.sleep(0.2)
  process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode != code:
    last = (log.read_text().strip().splitlines() or ['no output'])[-1]
    raise Failed(
      f'{args[0]}: expected exit code {code}, got {process.returncode}: {last}'
    )
  seconds = time.monotonic() - begin
  return Usage(round(seconds, 1), round(usage.ru_maxrss / 2**20, 2))


def losses(*logs: pathlib.Path) -> dict[int, float]:
  """Returns step -> total loss from the log of a training run."""
  text = ''.join(log.read_text() for log in logs)
  return {int(n): float(x) for n, x in _LOSS.findall(text)}


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
    raise Failed(f'{exported}: other values than those of the run')


class Rehearsal(NamedTuple):
  """A config, with the folders that all configs share.

  Attributes:
    config_name: name of the config.
    out: the folder for everything.
    steps: of each phase.
    extra: further options of the training, such as another dtype.
  """

  config_name: str
  out: pathlib.Path
  steps: int
  extra: tuple[str, ...] = ()

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

  def record(self) -> pathlib.Path:
    return self.out / 'records' / f'{self.config_name}.json'


def rehearse(item: Rehearsal) -> dict[str, Any]:
  """Runs all commands of one config; returns its record."""
  used: dict[str, Usage] = {}
  shutil.rmtree(item.workdir, ignore_errors=True)

  def command(name: str, args: list[str], **options: Any) -> None:
    print(f'{item.config_name}: {name}', flush=True)
    used[name] = run(args, item.log(name), **options)

  train = ['uda_jax.main', *item.options(), f'--workdir={item.workdir}']
  command('prepare', ['uda_jax.data.prepare', *item.options()])
  command('train', train, stop_at=f'step {item.steps}/', code=75)
  command('resume', train)
  scores = item.out / 'scores' / item.config_name
  command(
    'evaluate',
    ['uda_jax.evaluate', f'--workdir={item.workdir}', f'--out={scores}'],
  )
  target = {
    'acdc': 'acdc/rgb_anon/fog/val/*/*.png',
    'zurich': 'dark_zurich/rgb_anon/val/night/*/*.png',
    'cityscapes': 'cityscapes/leftImg8bit/val/*/*.png',
  }[item.config_name.split('/')[0].split('_')[-1]]
  command(
    'predict',
    [
      'uda_jax.predict',
      f'--workdir={item.workdir}',
      f'--images={item.out / "trees" / target}',
      f'--out={item.out / "predictions" / item.config_name}',
    ],
  )
  weights = item.out / 'exported' / f'{item.config_name}.safetensors'
  command(
    'export',
    [
      'uda_jax.export.weights',
      f'--workdir={item.workdir}',
      f'--out={weights}',
    ],
  )
  check_weights(item.workdir, weights)
  found = losses(item.log('train'), item.log('resume'))
  return {
    'config': item.config_name,
    'steps': len(found),
    'losses': found,
    'finite': all(map(math.isfinite, found.values())),
    'device': jax.devices()[0].device_kind,
    'gib': max(usage.gib for usage in used.values()),
    'seconds': {name: usage.seconds for name, usage in used.items()},
    'jax': jax.__version__,
    'date': time.strftime('%Y-%m-%d'),
  }


def table(out: pathlib.Path) -> str:
  """Returns the records as a table in Markdown."""
  lines = [
    '| config | steps | losses finite | peak GiB | prepare | train | resume '
    '| evaluate | predict | export |',
    '|---|---|---|---|---|---|---|---|---|---|',
  ]
  for config_name in config_names():
    path = Rehearsal(config_name, out, 0).record()
    if not path.exists():
      continue
    record = json.loads(path.read_text())
    if 'error' in record:
      lines.append(f'| `{config_name}` | {record["error"]} |' + ' |' * 8)
      continue
    seconds = record['seconds']
    cells = [
      f'`{config_name}`',
      record['steps'],
      'yes' if record['finite'] else 'no',
      record['gib'],
      *(f'{seconds[name]:.0f} s' for name in COMMANDS),
    ]
    lines.append('| ' + ' | '.join(map(str, cells)) + ' |')
  return '\n'.join(lines)


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
    '--again', action='store_true', help='also what has a record'
  )
  parser.add_argument(
    '--table', action='store_true', help='print the records and exit'
  )
  args, extra = parser.parse_known_args()
  out = args.out.absolute()
  if args.table:
    print(table(out))
    return
  published_trees.write(out / 'trees', images=args.images)
  published_weights.write(out / 'weights')
  failed = 0
  for config_name in (
    args.configs.split(',') if args.configs else config_names()
  ):
    item = Rehearsal(config_name, out, args.steps, tuple(extra))
    if item.record().exists() and not args.again:
      continue
    try:
      record = rehearse(item)
    except Failed as error:
      failed += 1
      record = {'config': config_name, 'error': str(error)}
    print(json.dumps(record), flush=True)
    files.write_atomically(item.record(), files.to_json(record))
  sys.exit(bool(failed))


if __name__ == '__main__':
  main()
