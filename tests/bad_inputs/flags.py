"""Wrong flags of commands: one line before anything slow is imported."""

from __future__ import annotations

import importlib

from tests.bad_inputs import case
from uda_jax import __main__ as commands

_STREETS = '--config=streets/self_training'
_TWO = (_STREETS, '--workdir=out', '--coordinator=a:1')
_ADAPT = ('--source=a', '--source_labels=b', '--target=c', '--out=out')
_PREDICT = ('--workdir=run', '--images=a', '--out=out')
# Command, flags, what the line says.
_FLAGS = (
  ('train', (), 'required: --config'),
  ('train', (_STREETS,), 'required: --workdir'),
  ('train', (_STREETS, '--workdir=out', 'spare'), "got 'spare'"),
  ('train', (_STREETS, '--workdir=out', '--confg=x'), 'did you mean --config'),
  ('train', (_STREETS, '--workdir=out', '--num_processes=x'), 'num_processes'),
  ('train', (_STREETS, '--workdir=out', '--num_processes=2'), '--coordinator'),
  ('train', (_STREETS, '--workdir=out', '--process_id=1'), '--coordinator'),
  ('train', (_STREETS, '--workdir=out', '--coordinator=a'), '--coordinator'),
  ('train', (*_TWO, '--num_processes=2', '--process_id=2'), '--process_id'),
  ('train', (*_TWO, '--num_processes=2', '--process_id=-1'), '--process_id'),
  ('train', (*_TWO, '--num_processes=0'), '--num_processes'),
  ('train', (_STREETS, '--workdir=out', '--start_timeout=0'), '1 or more'),
  ('train', (_STREETS, '--workdir=gs://a/b'), '--workdir: .*mount the bucket'),
  ('train', (_STREETS, '--workdir=/dev/null'), '--workdir: .* be written'),
  ('train', (_STREETS, '--workdir=/proc/none'), '--workdir: .* be written'),
  ('train', (_STREETS, '--workdir='), '--workdir'),
  ('evaluate', (), '--workdir .* or --predictions .* got neither'),
  ('evaluate', ('--workdir=a', '--predictions=b'), 'got both'),
  ('evaluate', ('--workdir=run',), '--out: expected a folder'),
  ('evaluate', ('--workdir=run', '--out=run'), '--out: expected another'),
  ('evaluate', ('--workdir=run', '--out=out', '--scales=x'), '--scales'),
  ('evaluate', ('--workdir=none', '--out=out'), 'none: .*manifest.json'),
  ('evaluate', ('--workdir=a', '--ids=train'), '--ids: not used with --work'),
  ('evaluate', ('--predictions=a', '--flip'), '--flip: not used with --pred'),
  (
    'evaluate',
    ('--predictions=a', '--config.eval.flip=true'),
    '--config.eval.flip=true: not used with --predictions',
  ),
  ('evaluate', ('--predictions=a',), '--labels: expected the folder'),
  ('evaluate', ('--predictions=a', '--labels=b'), 'a: expected a folder'),
  ('evaluate', ('--predictions=a', '--labels=b', '--ids=x'), '--ids'),
  ('evaluate', ('--predictions=a', '--classes=a,a'), "--classes: .* got 'a,a'"),
  ('evaluate', ('--predictions=a', '--classes=a,,b'), '--classes: .*different'),
  ('predict', (), 'required: --workdir, --images, --out'),
  ('predict', (*_PREDICT, '--size=12'), "--size: .*512x1024, got '12'"),
  ('predict', (*_PREDICT, '--size=0x64'), '--size'),
  ('predict', (*_PREDICT, '--size=-8x64'), '--size'),
  ('predict', (*_PREDICT, '--batch_size=0'), '--batch_size: .*1 or more'),
  ('predict', (*_PREDICT, '--multiple=1.5'), '--multiple'),
  ('predict', (*_PREDICT, '--fps=x'), '--fps'),
  ('predict', (*_PREDICT, '--fps=nan'), '--fps'),
  ('predict', (*_PREDICT, '--fps=-3'), '--fps'),
  ('predict', (*_PREDICT, '--value_range=5,1'), '--value_range: .*LOW < HIGH'),
  ('predict', (*_PREDICT, '--value_range=nan,1'), '--value_range'),
  ('predict', (*_PREDICT, '--ids=label'), '--ids'),
  ('predict', (*_PREDICT, '--network=both'), '--network'),
  ('predict', (*_PREDICT, '--import=none.py'), '--import=none.py'),
  (
    'predict',
    (*_PREDICT[::2], '--images='),
    "--images: expected a path, got '",
  ),
  ('predict', _PREDICT, "--images: found no image at 'a'"),
  ('predict', ('--workdir=run', '--images=a.mp4', '--out=out'), 'no video'),
  ('export', ('--workdir=none', '--out=out'), 'none: .*manifest.json'),
  ('export', ('--workdir=none', '--out=out', '--batch_size=-1'), '0 or more'),
  ('export_weights', ('--workdir=run',), '--out .* or --push .* got neither'),
  ('export_weights', ('--workdir=run', '--out=a', '--public'), '--public: '),
  ('export_weights', ('--workdir=run', '--out=.'), '--out: .* got the folder'),
  ('export_weights', ('--workdir=none', '--out=out/a.safetensors'), 'none'),
  ('report', ('--out=out/a.html',), 'required: RUN'),
  ('report', ('none', '--out=out/a.html'), 'none'),
  ('prepare', (), '--config, --dataset: .*neither'),
  ('prepare', (_STREETS, '--dataset=gta5'), 'got both'),
  ('prepare', ('--dataset=gta6',), "--dataset: .*got 'gta6'"),
  ('prepare', ('--dataset=gta5',), '--source: expected the folder of gta5'),
  (
    'prepare',
    ('--dataset=gta5', '--config.data.root=a'),
    '--config.data.root=a: expected --config with it, got --dataset',
  ),
  ('prepare', (_STREETS, '--parts=sauce'), "--parts: .*got 'sauce'"),
  ('prepare', (_STREETS, '--out=out'), '--source, --out: expected them with'),
  ('adapt', _ADAPT[:3], 'required: --out'),
  ('adapt', (*_ADAPT[1:], '--source='), "--source: expected a path, got ''"),
  ('adapt', (*_ADAPT, '--minutes=abc'), "--minutes: expected .* got 'abc'"),
  ('adapt', (*_ADAPT, '--minutes=nan'), '--minutes: expected'),
  (
    'adapt',
    (*_ADAPT, '--minutes=9', '--steps=9'),
    '--minutes, --steps: .*both',
  ),
  ('adapt', (*_ADAPT, '--ignore=x'), '--ignore: expected'),
  ('adapt', (*_ADAPT, '--crop=9'), '--crop'),
  ('adapt', (*_ADAPT, '--seed=-1'), '--seed'),
  ('convert_weights', ('a.pth', '--out=b'), 'required: --model'),
  ('convert_weights', ('a.pth', '--model=mit_b9', '--out=b'), '--model'),
  ('convert_weights', ('a.pth', '--model=mit_b0', '--out=b.pth'), '--out: '),
  (
    'convert_weights',
    ('a.pth', '--model=mit_b0', '--out=b.safetensors', '--set=x'),
    '--set: .*FIELD=VALUE',
  ),
  ('configs', ('streets/pippa',), 'config .*streets/pippa.*streets/pipa'),
  ('configs', ('streets/pipa', '--diff=streets/x'), 'streets/x'),
  ('submission', ('--workdir=none', '--dataset=x'), '--dataset'),
)


def _run(command, flags):
  def run(folder):
    del folder  # the current one
    module, _ = commands.COMMANDS[command]
    importlib.import_module(module).main(flags)

  return run


CASES = tuple(
  case.Case(f'{command} {" ".join(flags)}'[:70], _run(command, flags), line)
  for command, flags, line in _FLAGS
)
