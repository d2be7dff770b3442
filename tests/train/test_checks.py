"""Bad directories are named before a run starts; see test_end_to_end too."""

import re

import pytest

from tests import tiny_config
from uda_jax import configs
from uda_jax import flag_values
from uda_jax.configs import overrides
from uda_jax.models import reference
from uda_jax.train import checks
from uda_jax.train import loop


def test_a_workdir_that_cannot_be_written_is_named_at_once(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(OSError, match='--workdir: expected a .*file/run'):
    checks.check_workdir(tmp_path / 'file/run')


def test_a_workdir_is_made_and_its_path_is_absolute(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert checks.check_workdir('a/run') == tmp_path / 'a/run'
  assert (tmp_path / 'a/run').is_dir()


def test_a_workdir_in_the_home_folder(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert checks.check_workdir('~/run') == tmp_path / 'run'


def test_a_bucket_is_no_workdir():
  with pytest.raises(ValueError, match='--workdir: .* gs://bucket/run; mount'):
    loop.run(tiny_config.get_config(), 'gs://bucket/run')
  for text in ('gs://bucket/run', 'hf://owner/name'):
    with pytest.raises(ValueError, match='expected a folder that all'):
      checks.check_workdir(flag_values.path(text))


# Networks of the published benchmarks start from a file or another run.
PUBLISHED = [n for n in configs.paths() if '_to_' in n and 'camvid' not in n]


@pytest.mark.parametrize('name', PUBLISHED)
def test_no_published_run_starts_untrained(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  config = configs.load(name)
  start = config.model.starts_from
  assert start
  for weights in ('', 'other.pth'):
    config.model.weights = weights
    with pytest.raises(ValueError) as error:
      checks.check_config(config)
    message = str(error.value)
    assert f'config.model.weights: expected {start}; got ' in message
    assert '\n' not in message
    assert str(tmp_path / 'other.pth') in message or not weights
    # What the message names starts at random.
    assert message.endswith(' to start at random')
    flags = re.findall(r'--config\.\S+=(?= )', message)
    random = overrides.apply(config.copy_and_resolve_references(), flags)
    if 'weight_distance' not in random.method:
      checks.check_config(random)
    assert not random.model.weights and not random.model.starts_from
  # The configs that the message names exist.
  for word in start.split():
    assert '_to_cityscapes/' not in word or word in configs.paths()
  config.model.starts_from = ''
  config.model.weights = ''
  if 'weight_distance' not in config.method:
    checks.check_config(config)
  if config.model.get('reference'):
    _check_the_frozen_network(config, tmp_path)
  (tmp_path / 'other.pth').touch()
  config.model.weights = 'other.pth#student'
  if config.model.get('reference'):
    config.model.reference.weights = 'other.pth'
  checks.check_config(config)


def _check_the_frozen_network(config, folder):
  file = 'dinov2_vitl14_reg4_pretrain.pth'
  assert config.model.reference.weights == f'pretrained/{file}'
  for weights in ('', f'pretrained/{file}'):
    config.model.reference.weights = weights
    with pytest.raises(ValueError) as error:
      checks.check_config(config)
    message = str(error.value)
    assert message.startswith(
      f'config.model.reference.weights: expected {file} of '
      'facebookresearch/dinov2 (LVD-142M), see docs/weights.md; got '
    )
    assert (str(folder / weights) if weights else "got ''") in message
    assert message.endswith('; 0 switches it off') and '\n' not in message


@pytest.mark.parametrize(
  'encoder, file',
  [
    ('dinov2_s', 'dinov2_vits14_pretrain.pth'),
    ('dinov2_b_reg', 'dinov2_vitb14_reg4_pretrain.pth'),
  ],
)
def test_the_file_of_each_frozen_network(encoder, file):
  assert reference.file_and_origin(encoder).startswith(f'{file} of facebook')


def test_another_frozen_network_needs_a_head_of_its_width():
  config = configs.load('gta5_to_cityscapes/vfm_uda_pp')
  config.model.update(weights='', starts_from='')
  config.model.reference.encoder = 'dinov2_b_reg'
  with pytest.raises(ValueError) as error:
    checks.check_config(config)
  assert str(error.value) == (
    "config.model.heads: expected ('feature_head', 'coarsest', 768), as "
    "config.model.reference.encoder='dinov2_b_reg' has 768 channels, got "
    "('feature_head', 'coarsest', 1024)"
  )
  config.model.heads = (('feature_head', 'coarsest', 768),)
  with pytest.raises(ValueError, match=r'^config.model.reference.weights: '):
    checks.check_config(config)


def test_another_run_is_a_start(tmp_path):
  config = configs.load('gta5_to_cityscapes/pixmatch')
  config.warm_start.workdir = str(tmp_path)
  checks.check_config(config)
