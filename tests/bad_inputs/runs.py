"""Directories of runs: damaged manifests and checkpoints, other networks."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import shutil
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from tests import tiny
from tests import tiny_config
from tests.bad_inputs import case
from uda_jax import types
from uda_jax.data.streets import style
from uda_jax.export import weights as export_weights
from uda_jax.predict import __main__ as predict
from uda_jax.report import __main__ as report
from uda_jax.runs import checkpoint
from uda_jax.runs import provenance


@functools.cache
def _trained() -> pathlib.Path:
  """Writes the directory of a run of the tiny network, once."""
  folder = pathlib.Path(tempfile.mkdtemp(prefix='bad_inputs_'))
  config = tiny_config.get_config()
  network = tiny.network(len(style.CLASSES), config.model.in_channels)
  variables = network.init(jax.random.key(0), (32, 64))
  state = types.TrainState(
    step=jnp.asarray(7, jnp.int32),
    student=variables,
    teacher=jax.tree.map(jnp.array, variables),
    opt_state=(),
    method_state=None,
    round=None,
    nonfinite=jnp.zeros((), jnp.int32),
    rng=jax.random.key(1),
  )
  with checkpoint.Checkpoints(folder, every_steps=1) as saved:
    saved.save(7, state)
  classes = {'names': style.CLASSES, 'palette': style.PALETTE}
  provenance.run_manifest(folder, config, {'classes': classes})
  return folder


def _damaged(damage, use):
  def run(folder):
    shutil.copytree(_trained(), folder / 'run')
    damage(folder / 'run')
    use(folder)

  return run


def _predict(folder, *flags):
  Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(folder / 'a.png')
  predict.main(
    [
      f'--workdir={folder / "run"}',
      f'--images={folder / "a.png"}',
      f'--out={folder / "out"}',
      *flags,
    ]
  )


def _export(folder):
  export_weights.main(
    [f'--workdir={folder / "run"}', f'--out={folder / "out/a.safetensors"}']
  )


def _report(folder):
  report.main([str(folder / 'run'), f'--out={folder / "out/page.html"}'])


def _manifest(change):
  """Returns what changes the JSON of a manifest."""

  def damage(run):
    path = run / 'manifest.json'
    manifest = json.loads(path.read_text())
    changed = change(manifest)
    path.write_text(json.dumps(manifest if changed is None else changed))

  return damage


def _text(content):
  return lambda run: (run / 'manifest.json').write_bytes(content)


def _replaced(name, make):
  def damage(run):
    path = run / name
    if path.is_dir():
      shutil.rmtree(path)
    else:
      path.unlink()
    make(path)

  return damage


def _largest(run):
  files = (run / 'checkpoints/7/state').rglob('*')
  return max(filter(pathlib.Path.is_file, files), key=os.path.getsize)


def _flip(run):
  path = _largest(run)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


_FILE = r'manifest\.json'
# Name, what is done to the manifest, what the line says.
_MANIFESTS = (
  ('gone', lambda run: (run / 'manifest.json').unlink(), 'no manifest.json'),
  ('empty', _text(b''), _FILE),
  ('half', lambda run: case.cut(run / 'manifest.json', 300), _FILE),
  ('zeros', _text(b'\0' * 99), _FILE),
  ('not UTF-8', _text(b'{"a": "\xff"}'), _FILE),
  ('a list', _text(b'[]'), _FILE),
  ('a number', _text(b'7'), _FILE),
  ('an empty object', _text(b'{}'), _FILE),
  ('deep', _text(b'[' * 100_000), _FILE),
  ('a folder', _replaced('manifest.json', os.mkdir), 'manifest.json'),
  ('a link to itself', _replaced('manifest.json', case.loop), 'manifest.json'),
  ('no start', _manifest(lambda m: m.update(starts=[])), _FILE),
  ('starts of text', _manifest(lambda m: m.update(starts='x')), _FILE),
  ('no config', _manifest(lambda m: m.pop('config') and None), _FILE),
  ('a config of text', _manifest(lambda m: m.update(config='x')), _FILE),
  ('no model', _manifest(lambda m: m['config'].pop('model') and None), _FILE),
  (
    'no classes',
    _manifest(lambda m: m['starts'][-1].pop('classes') and None),
    _FILE,
  ),
  (
    'classes of text',
    _manifest(lambda m: m['starts'][-1].update(classes='x')),
    _FILE,
  ),
  (
    'an unknown network',
    _manifest(lambda m: m['config']['model'].update(name='nope')),
    r'config\.model\.name: expected one of',
  ),
  (
    'another number of classes',
    _manifest(
      lambda m: m['starts'][-1]['classes'].update(
        names=['a', 'b'], palette=[[0, 0, 0]] * 2
      )
    ),
    r'checkpoints/7.*kernel.*(3, 2)',
  ),
  (
    'another number of channels',
    _manifest(lambda m: m['config']['model'].update(in_channels=5)),
    r'checkpoints/7|--images',
  ),
)
_STATE = 'checkpoints/7/state'
_CHECKPOINTS = (
  ('none', lambda run: shutil.rmtree(run / 'checkpoints'), '--workdir: .*none'),
  (
    'an empty folder',
    _replaced('checkpoints/7', os.mkdir),
    '--workdir: .*checkpoints/7',
  ),
  (
    'a file in its place',
    _replaced('checkpoints', lambda p: p.write_text('x')),
    '--workdir: ',
  ),
  ('no state', _replaced(_STATE, lambda p: None), 'damaged: put the file'),
  (
    'a cut array',
    lambda run: case.cut(_largest(run), 3),
    'damaged: put the fi',
  ),
  ('a changed bit', _flip, 'damaged: put the file back, or remove'),
  (
    'an array gone',
    lambda run: _largest(run).unlink(),
    'damaged: put the file',
  ),
  (
    'an empty index',
    lambda run: (run / _STATE / '_METADATA').write_bytes(b''),
    'damaged: put the file',
  ),
  (
    'an index of zeros',
    lambda run: (run / _STATE / '_METADATA').write_bytes(b'\0' * 99),
    'damaged: put the file',
  ),
)
CASES = (
  *(
    case.Case(f'manifest, {name}', _damaged(damage, _predict), line)
    for name, damage, line in _MANIFESTS
  ),
  *(
    case.Case(f'checkpoint, {name}', _damaged(damage, use), line)
    for name, damage, line in _CHECKPOINTS
    for use in (_predict, _export)
  ),
  *(
    case.Case(f'report, {name}', _damaged(damage, _report), r'manifest|run')
    for name, damage, _ in _MANIFESTS[:9]
  ),
  case.Case(
    'windows that leave pixels out',
    _damaged(
      lambda run: None,
      lambda f: _predict(f, '--window=16x16', '--stride=16x17'),
    ),
    r'\(--stride\): expected steps of at most .* \(16, 16\)',
  ),
  case.Case(
    'no best network',
    _damaged(lambda run: None, lambda f: _predict(f, '--network=best')),
    '--workdir: .*checkpoint in .*best, found none',
  ),
)
