"""Converting published files, and what is declared of weights."""

import itertools
import json
import pathlib
import subprocess
import sys

import jax
import ml_collections
import numpy as np
import pytest

from tests.models import pth_files as make
from uda_jax import models
from uda_jax.configs.blocks import convnets
from uda_jax.configs.blocks import hrda
from uda_jax.configs.blocks import networks
from uda_jax.models import weights
from uda_jax.models.weights import convert
from uda_jax.models.weights import metadata
from uda_jax.models.weights import parts
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import state_dict

GOLDEN = pathlib.Path(__file__).parent.parent / 'golden'
TINY = convert.PUBLISHED['deeplab_v2'] | dict(
  stem=4, planes=(2, 2, 3, 4), blocks=(1, 2, 1, 1)
)


def _shapes(fields, num_classes=19):
  return convert._shapes(convert.Fields(fields), num_classes)


def _tensors(fields, seed=0, num_classes=19):
  random = np.random.default_rng(seed)
  return state_dict.export(
    jax.tree.map(
      lambda x: random.normal(size=x.shape).astype(np.float32),
      _shapes(fields, num_classes),
    )
  )


DEEPLAB = _tensors(TINY)
# Fields of every network that say what it starts from.
START = {
  'weights',
  'starts_from',
  'allow_target_labels',
  'new_classifier',
  'in_channels',
  'mean',
  'std',
  'matmul_precision',
}


def _run(*args):
  return subprocess.run(
    [sys.executable, '-m', 'uda_jax.models.weights', *map(str, args)],
    text=True,
    capture_output=True,
    check=False,
    cwd=pathlib.Path(__file__).parent.parent.parent,
  )


def _config(path, **fields):
  return ml_collections.ConfigDict(
    {
      'model': TINY
      | dict(
        weights=str(path),
        allow_target_labels=False,
        new_classifier=False,
        in_channels=3,
      )
      | fields
    }
  )


def test_command(tmp_path):
  """A checkpoint of several networks, its teacher taken, loaded by a run."""
  source = tmp_path / 'best.pth'
  flat = {str(i): x.reshape(-1) for i, x in enumerate(DEEPLAB.values())}
  shadow = make.mapping(
    {
      f'module.{name}': make.tensor(
        make.storage(flat[str(i)], str(i), b'N'), x.shape
      )
      for i, (name, x) in enumerate(DEEPLAB.items())
    }
  )
  make.write_legacy(
    source,
    make.mapping(
      {'shadow': shadow, 'state_dict': shadow, 'iter': make.integer(9)}
    ),
    flat,
  )
  out = tmp_path / 'deeplab.safetensors'
  fields = [f'--set={n}={TINY[n]}' for n in ('stem', 'planes', 'blocks')]
  done = _run(
    f'{source}#shadow',
    '--model=deeplab_v2',
    f'--out={out}',
    '--trained_on=GTA5',
    '--saw_target_labels=no',
    *fields,
  )
  assert done.returncode == 0, done.stderr
  count = len(DEEPLAB)
  assert done.stdout.startswith(
    f'loaded {count} of {count} tensors of {source}#shadow (sha256 '
  )
  told = json.loads((tmp_path / 'deeplab.safetensors.json').read_text())
  assert told == {
    'trained_on': 'GTA5',
    'saw_target_labels': False,
    'preprocessing': 'CAFFE',
    'source': 'best.pth',
    'part': 'shadow',
    'source_sha256': metadata.sha256(source),
    'spelling': 'deeplab_v2',
    'model': 'deeplab_v2',
    'tensors': count,
    'sha256': metadata.sha256(out),
  }
  config = _config(out)
  variables = models.build(config, 19).init(jax.random.key(0), (32, 32))
  for name, x in models.export(config, variables).items():
    np.testing.assert_array_equal(x, DEEPLAB[name])
  assert models.provenance(config).declared == told


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    (('--model=deeplab_v2', '--out=a.pth'), 'expected a .safetensors file'),
    (
      ('--model=deeplab_v2', '--out=a.safetensors', '--set=stm=3'),
      'expected a field of deeplab_v2, one of',
    ),
    (('--model=deeplab_v2', '--out=a.safetensors'), 'no such weight file'),
  ],
)
def test_command_tells_errors_in_one_line(args, message, tmp_path):
  done = _run(tmp_path / 'absent.pth', *args)
  assert done.returncode == 1 and done.stderr.startswith('error: ')
  assert message in done.stderr and done.stderr.count('\n') == 1


def test_what_does_not_fit_writes_nothing(tmp_path):
  path, out = tmp_path / 'a.safetensors', tmp_path / 'b.safetensors'
  safetensors.write(path, DEEPLAB)
  with pytest.raises(ValueError, match=r'does not fit.*depth'):
    convert.convert(
      str(path),
      out,
      fields=TINY | dict(blocks=(1, 1, 2, 1)),
      num_classes=19,
      declared={},
    )
  assert not out.exists()


@pytest.mark.parametrize(
  ('model', 'table', 'keys'),
  [
    ('daformer', 'param_groups', ('name', 'buffers')),
    ('hrda', 'hrda_param_groups', ('name', 'buffers')),
  ],
)
def test_names_of_the_published_checkpoints(model, table, keys):
  """Every tensor of a student, at full size and depth."""
  found = np.load(GOLDEN / 'daformer_hrda' / f'{table}.npz')
  names = {
    str(n).removeprefix('model.')
    for key in keys
    for n in found[key]
    if str(n).startswith('model.')
  }
  names = {n for n in names if not n.endswith(state_dict.COUNTER)}
  ours = state_dict.export(
    jax.tree.map(
      lambda x: np.broadcast_to(np.float32(0), x.shape),
      _shapes(convert.PUBLISHED[model]),
    )
  )
  if model == 'hrda':  # The table has the head alone.
    ours = {n: x for n, x in ours.items() if n.startswith('decode_head.')}
  assert set(ours) == names
  for name, shape in zip(found['name'], found['shape']):
    mine = ours.get(str(name).removeprefix('model.'))
    if mine is not None:
      assert (*mine.shape, 1, 1, 1)[:4] == tuple(np.maximum(shape, 1))


def test_published_networks_are_those_of_the_configs():
  daformer = networks.daformer_network()
  for name, block in (
    ('daformer', daformer),
    ('hrda', hrda.network(daformer, detail_crop=(512, 512))),
    ('cluda', hrda.cluda_network(daformer, detail_crop=(512, 512))),
    ('deeplab_v2', convnets.deeplab_v2()),
    ('deeplab_v2_lse', convnets.deeplab_v2(aux_head=False)),
    ('fcn8s_vgg', convnets.fcn8s_vgg()),
    ('efficientnet_lite0', networks.efficientnet_lite0()),
  ):
    expected = convert.PUBLISHED[name]
    # Rematerialisation changes no tensor.
    for field in set(block) & set(expected) - {'remat'}:
      assert block[field] == expected[field], (name, field)
    assert set(block) - START <= set(expected)


def test_weights_that_saw_target_labels_are_refused(tmp_path):
  path = tmp_path / 'a.safetensors'
  safetensors.write(path, DEEPLAB)
  metadata.write(path, {'saw_target_labels': True, 'trained_on': 'Cityscapes'})
  with pytest.raises(
    ValueError,
    match=(
      r'a\.safetensors: these weights saw labels of the target \(trained on '
      r'Cityscapes\).*allow_target_labels=True'
    ),
  ):
    models.build(_config(path), 19)
  models.build(_config(path, allow_target_labels=True), 19)


def test_known_files_are_known_by_their_hash(tmp_path, monkeypatch):
  path = tmp_path / 'a.safetensors'
  safetensors.write(path, DEEPLAB)
  known = metadata.Known('ADE20K and Cityscapes', 'CAFFE', True)
  monkeypatch.setitem(metadata.KNOWN, metadata.sha256(path)[:8], known)
  with pytest.raises(ValueError, match='saw labels.*ADE20K and Cityscapes'):
    models.build(_config(path), 19)
  # What is written beside the file goes before.
  metadata.write(path, {'saw_target_labels': False})
  models.build(_config(path), 19)


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('{"sha256": "12"}', 'belongs to a file of SHA-256 12'),
    ('{"saw_target_labels": "no"}', "expected a bool, got 'no'"),
    ('{"preprocessing": "IMAGENET"}', 'for CAFFE pixels.*IMAGENET'),
    ('[]', 'expected a JSON object'),
    ('{', 'expected JSON'),
  ],
)
def test_bad_declarations_are_told(text, message, tmp_path):
  path = tmp_path / 'a.safetensors'
  safetensors.write(path, DEEPLAB)
  metadata.beside(path).write_text(text)
  with pytest.raises(
    ValueError,
    match=rf'a\.safetensors\.json.*{message}|'
    rf'{message}.*a\.safetensors\.json',
  ):
    models.build(_config(path), 19)


def test_a_replaced_file_is_noticed(tmp_path):
  """Its declaration holds its hash: one bit is enough."""
  path = tmp_path / 'a.safetensors'
  safetensors.write(path, DEEPLAB)
  metadata.write(path, {})
  models.build(_config(path), 19)
  data = bytearray(path.read_bytes())
  data[-1] ^= 1
  path.write_bytes(data)
  with pytest.raises(ValueError, match='belongs to a file of SHA-256'):
    models.build(_config(path), 19)


NETWORKS = {
  'meta/x': 0,
  'optimizer/state/0/exp_avg': 1,
  'state_dict/module.model.backbone.a': 2,
  'state_dict/module.ema_model.backbone.a': 3,
  'state_dict/module.imnet_model.backbone.a': 4,
  'state_dict/module.imnet_model.decode_head.a': 5,
  'state_dict/module.model.decode_head.a': 6,
  'state_dict/module.project.0.weight': 7,
}


def _take(tensors, text):
  arrays = {n: np.array(x) for n, x in tensors.items()}
  found = parts.take(arrays, parts.locate(text))
  return {n: int(x) for n, x in found.items()}


def test_parts_of_a_self_training_checkpoint():
  assert _take(NETWORKS, 'f#model') == {'backbone.a': 2, 'decode_head.a': 6}
  assert _take(NETWORKS, 'f#ema_model') == {'backbone.a': 3}
  # Its decoder was never trained.
  assert _take(NETWORKS, 'f#imnet_model') == {'backbone.a': 4}
  with pytest.raises(
    ValueError,
    match=(
      r'f: the file holds 3 networks: model \(2 tensors\), ema_model '
      r"\(1 tensors\), imnet_model \(1 tensors\). Say which, .*'f#model'"
    ),
  ):
    _take(NETWORKS, 'f')
  with pytest.raises(ValueError, match="f#shadow: .*no network 'shadow'"):
    _take(NETWORKS, 'f#shadow')
  # What belongs to no copy is not lost silently.
  odd = NETWORKS | {'state_dict/module.neck.a': 8}
  assert _take(odd, 'f#ema_model') == {'backbone.a': 3, 'neck.a': 8}


def test_a_moving_average_is_another_network():
  for network, average in (
    ('state_dict', 'state_dict_ema'),
    ('model', 'model_ema'),
  ):
    tensors = {f'{network}/a': 1, f'{average}/a': 2, 'optimizer/a': 3}
    assert _take(tensors, f'f#{average}') == {'a': 2}
    with pytest.raises(ValueError, match=f'2 networks: {network} .*{average}'):
      _take(tensors, 'f')


def test_copies_in_two_entries_are_four_networks():
  tensors = {
    f'{entry}/{copy}.a': number
    for number, (entry, copy) in enumerate(
      itertools.product(('state_dict', 'shadow'), ('model', 'ema_model'))
    )
  }
  assert _take(tensors, 'f#state_dict/model') == {'a': 0}
  assert _take(tensors, 'f#shadow/ema_model') == {'a': 3}


@pytest.mark.parametrize('names', [('model.a', 'a'), ('module.a', 'a')])
def test_two_tensors_of_one_name_are_refused(names):
  with pytest.raises(ValueError, match=f'f: {names[0]} and a are both a'):
    _take(dict.fromkeys(names, 1), 'f')


def test_the_only_network_needs_no_name():
  for prefix in ('', 'module.', 'state_dict/', 'model/', 'model.', 'shadow/'):
    assert _take({prefix + 'a.weight': 1}, 'f') == {'a.weight': 1}


def test_a_files_own_name_may_have_the_mark(tmp_path):
  path = tmp_path / 'run#3.pth'
  assert parts.locate(f'{path}') == parts.Location(tmp_path / 'run', '3.pth')
  path.touch()
  assert parts.locate(f'{path}') == parts.Location(path)
  assert parts.locate(f'{path}#shadow') == parts.Location(path, 'shadow')


def test_exported_efficientnet_comes_back(tmp_path):
  config = ml_collections.ConfigDict(
    {
      'model': dict(
        name='efficientnet_lite0',
        dtype='float32',
        width=8,
        dropout=0.0,
        heads=(),
        weights='',
        allow_target_labels=False,
        new_classifier=False,
        in_channels=3,
      )
    }
  )
  shapes = jax.eval_shape(
    lambda: models.build(config, 5).init(jax.random.key(0), (32, 32))
  )
  random = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda x: random.normal(size=x.shape).astype(np.float32), shapes
  )
  tensors = models.export(config, variables)
  assert 'encoder._blocks.0._bn1.running_var' in tensors
  path = tmp_path / 'a.safetensors'
  safetensors.write(path, tensors)
  config.model.weights = str(path)
  importer = models.IMPORTERS['efficientnet_lite0'](config.model)
  again = weights.load(importer, jax.tree.map(np.zeros_like, variables))
  jax.tree.map(np.testing.assert_array_equal, again, variables)
