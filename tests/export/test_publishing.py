"""A network that is published stands where the directory of a run does."""

import json

import jax
import numpy as np
import pytest

from tests import hub_server
from tests import small_config
from uda_jax import configs
from uda_jax import models
from uda_jax.evaluate import reports
from uda_jax.export import card
from uda_jax.export import manifest_file
from uda_jax.export import weights
from uda_jax.models.weights import hub
from uda_jax.runs import checkpoint
from uda_jax.runs import packed
from uda_jax.runs import provenance
from uda_jax.runs import restore
from uda_jax.train import checks
from uda_jax.train import warm_start

NAMES = ('road', 'sky', 'car')
REPO = 'someone/my-net'


@pytest.fixture
def server(tmp_path, monkeypatch):
  """A server without repositories, and an account that may write."""
  with hub_server.serving() as server:
    hub_server.use(server, tmp_path, monkeypatch)
    monkeypatch.setenv('HF_TOKEN', server.token)
    hub.forget()
    yield server
    hub.forget()


@pytest.fixture
def run(tmp_path):
  """The directory of a run with scores, its config and its best network."""
  config = small_config.get_config()
  config.data.root = '/home/me/data'
  variables = models.build(config, len(NAMES)).init(jax.random.key(1), (32, 48))
  workdir = tmp_path / 'run'
  declared = {'trained_on': 'ImageNet-1k', 'licence': 'non-commercial'}
  provenance.run_manifest(
    workdir,
    config,
    {
      'classes': {'names': NAMES, 'palette': ((0, 10, 255),) * 3},
      'weights': {'declared': declared, 'sha256': '0'},
    },
  )
  with checkpoint.Checkpoints(workdir, every_steps=1) as saved:
    saved.save_best(1, variables, {'value': 0.5})
  confusion = np.diag([5, 3, 0]) + 1
  report = reports.report(confusion, NAMES, {'all classes': (0, 1, 2)})
  reports.write_results(workdir, {'student': report})
  return workdir, config, variables


def _push(workdir, *args):
  weights.main(
    [f'--workdir={workdir}', f'--push={REPO}', '--network=best', *args]
  )


def test_the_page_says_how_many_channels_an_image_has():
  config = small_config.get_config()
  declared = {'network': 'best', 'trained_on': 'a', 'saw_target_labels': False}
  for channels, text in ((3, '| RGB, '), (4, '| 4 channels, ')):
    config.model.in_channels = channels
    trained = restore.Trained(config, NAMES, ((0, 0, 0),) * 3, None, None, 4)
    page = card.write(REPO, trained, declared, {}, None)
    assert text in page and '| steps, seed | 4 of 24, ' in page
  trained = trained._replace(class_names=('a|b', '<i>', '_c_'))
  page = card.write(REPO, trained, declared, {}, None)
  for i, name in enumerate(('a\\|b', '&lt;i&gt;', '\\_c\\_')):
    assert f'| {i} | {name} | #000000 |' in page


def test_what_is_published_is_read_back_to_the_bit(run, server, capsys):
  workdir, config, variables = run
  _push(workdir)
  commit = hub_server.commit_of(server.repos[REPO])
  told = capsys.readouterr().out
  assert told.endswith(f'published hf://{REPO}@{commit}\n')
  assert server.token not in told and server.private == {REPO}
  trained = restore.load(f'hf://{REPO}')
  jax.tree.map(np.testing.assert_array_equal, trained.variables, variables)
  assert trained.class_names == NAMES
  assert trained.config.steps == config.steps
  # Commands make a path of their argument, which joins its slashes.
  parser = weights.parser()
  args = parser.parse_args([f'--workdir=hf://{REPO}@{commit}'])
  assert packed.directory(args.workdir) == packed.directory(f'hf://{REPO}')
  config.warm_start.update(workdir=f'hf://{REPO}', network='best')
  checks.check_config(config)
  fresh = jax.tree.map(np.zeros_like, variables)
  started = warm_start.load(config, len(NAMES), fresh, (32, 48))
  jax.tree.map(np.testing.assert_array_equal, started, variables)
  declared = warm_start.declared(config)
  assert declared['trained_on'].startswith('ImageNet-1k; ')
  assert declared['licence'] == 'non-commercial'
  config.warm_start.network = 'teacher'
  with pytest.raises(ValueError, match='its best alone.*ask for the best'):
    warm_start.load(config, len(NAMES), fresh, (32, 48))


def test_the_page_tells_data_scores_and_licence(run, server):
  workdir, config, _ = run
  _push(workdir)
  files = server.repos[REPO]
  assert sorted(files) == [
    'README.md',
    'manifest.json',
    'model.safetensors',
    'model.safetensors.json',
  ]
  page = files['README.md'].decode()
  assert page.startswith('---\nlibrary_name: uda_jax\n')
  for text in (
    f'| target | {config.data.target.name} |',
    '| saw labels of the target | no |',
    'ImageNet-1k; ',
    '| licence of its start weights | non-commercial |',
    '| student | 43.3 | 64.7 |',
    '| 1 | sky | #000aff |',
    f'--workdir=hf://{REPO} \\\n    --images',
  ):
    assert text in page, text
  # Nothing of this machine.
  manifest = files['manifest.json'].decode()
  assert '/home/me' not in manifest and str(workdir.parent) not in manifest
  assert 'command' not in json.loads(manifest)['starts'][0]


@pytest.mark.parametrize(
  ('change', 'args', 'told'),
  [
    (
      lambda server: server.repos.update({REPO: {}}),
      (),
      'is public; --public publishes there',
    ),
    (lambda server: setattr(server, 'token', 'hf_b'), (), 'right to write'),
    (lambda server: None, ('--out=a.safetensors',), 'or --push .* got both'),
    (lambda server: None, ('--spelling=mit',), '--spelling: expected none'),
    (lambda server: None, ('--push=net',), 'expected OWNER/NAME, got .net'),
  ],
)
def test_what_is_not_published(run, server, change, args, told, capsys):
  change(server)
  with pytest.raises(SystemExit, match=told) as error:
    _push(run[0], *args)
  assert 'hf_secret' not in f'{error.value}{capsys.readouterr()}'
  assert not any(server.repos.values())


def test_public_on_request(run, server):
  _push(run[0], '--public')
  assert server.public == {REPO} and server.repos[REPO]


def test_the_weights_of_a_run_may_move_but_not_change(tmp_path):
  config = small_config.get_config()
  config.model.weights = 'hf://nvidia/mit-b0/pytorch_model.bin'
  first = {'sha256': 'ab', 'part': '', 'commit': 'c1'}
  provenance.run_manifest(tmp_path, config, {'weights': first})
  config.model.weights += '@c1'
  provenance.run_manifest(tmp_path, config, {'weights': first})
  before = (tmp_path / 'manifest.json').read_bytes()
  for other in (first | {'sha256': 'cd', 'commit': 'c2'}, None):
    with pytest.raises(ValueError, match='expected SHA-256 ab, commit c1, got'):
      provenance.run_manifest(tmp_path, config, {'weights': other})
  assert (tmp_path / 'manifest.json').read_bytes() == before


def test_configs_without_folders():
  tree = manifest_file.without_folders(small_config.get_config())
  assert tree['data']['root'] == tree['data']['cache_dir'] == ''
  config = configs.load('gta5_to_cityscapes/vfm_uda_pp')
  model = manifest_file.without_folders(config)['model']
  assert config.model.reference.weights
  assert model['weights'] == model['reference']['weights'] == ''
