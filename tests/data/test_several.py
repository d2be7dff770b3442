"""Several data sets as one part of a run: turns, processes, restarts."""

import pathlib

import ml_collections
import numpy as np
import pytest

from tests.data import test_pipeline
from tests.data import tiny_folder
from uda_jax import configs
from uda_jax.configs import overrides
from uda_jax.configs.blocks import several as blocks
from uda_jax.data import checks
from uda_jax.data import datasets
from uda_jax.data import domains
from uda_jax.data import image_size
from uda_jax.data import label_fraction
from uda_jax.data import manifest
from uda_jax.data import pair_crops
from uda_jax.data import prepare
from uda_jax.data import records
from uda_jax.data import several
from uda_jax.train import checks as train_checks

# Sets of 6 and 4 images, of other sizes; 3 of 4 source images are of the first.
_DATA = tiny_folder.data(
  source_image_size=(14, 18),
  target_image_size=(13, 20),
  crop_size=(8, 9),
  flip=True,
  target_labels='1/2',
  target_labels_weight=1.0,
  rare_class=dict(temperature=0.0, min_pixels=2, min_crop_ratio=0.0),
)


def _sets(first=3.0, second=1.0, **fields):
  return blocks.sets(
    first=blocks.weighted(tiny_folder.record(root='first'), first),
    second=blocks.weighted(
      tiny_folder.record(root='second', name='second tiny', **fields), second
    ),
  )


def _config(root='', **fields):
  config = _DATA.copy_and_resolve_references()
  with config.unlocked():
    config.update(
      root=str(root), cache_dir=f'{root}/cache', evaluation=_sets(1.0)
    )
    config.source, config.target = _sets(), _sets(1.0)
  config.update(fields)
  return config


@pytest.fixture(name='root', scope='module')
def _root(tmp_path_factory):
  root = tmp_path_factory.mktemp('several')
  tiny_folder.write(root / 'first')
  tiny_folder.write(root / 'second', count=4, size=(16, 12))
  return root


@pytest.fixture(name='data', scope='module')
def _loaded(root):
  """Source, target and labelled part of the target."""
  config = _config(root)
  part = label_fraction.part(config, 0)
  return (
    *(datasets.load_part(config, name) for name in ('source', 'target')),
    datasets.load_labeled(config, part),
  )


def _batches(data, config=_DATA, **kwargs):
  source, target, labeled = data
  return test_pipeline.batches(
    source, target, config, labeled=labeled, **kwargs
  )


@pytest.fixture(name='whole', scope='module')
def _whole(data):
  return _batches(data)


def test_a_manifest_of_both(data):
  source, target, labeled = data
  assert source.name == 'tiny + second tiny'
  assert [(s.name, s.start, s.stop, s.weight) for s in source.sets] == [
    ('first', 0, 6, 3.0),
    ('second', 6, 10, 1.0),
  ]
  assert source.labeled and not target.labeled
  # Half of each set.
  assert [s.stop - s.start for s in labeled.sets] == [3, 2]
  for one, own in zip(source.sets, manifest.split(source)):
    assert own.image_paths == source.image_paths[one.start : one.stop]
    assert own.name == one.title and not own.sets


def test_the_shares_hold_and_every_set_has_its_epochs(whole):
  # 6 steps of 8 rows: 36 rows of the first set are 6 epochs of its images.
  index = np.concatenate([batch.source.index.ravel() for batch in whole])
  assert [(index < 6).sum(), (index >= 6).sum()] == [36, 12]
  for period in index.reshape(-1, 4):
    assert (period >= 6).sum() == 1
  for low, count in ((0, 6), (6, 4)):
    own = index[(index >= low) & (index < low + count)] - low
    epochs = np.sort(own.reshape(-1, count))
    np.testing.assert_array_equal(epochs, [list(range(count))] * len(epochs))
  # Not always the same place of a period.
  assert len({tuple(p) for p in (index.reshape(-1, 4) >= 6).tolist()}) > 1
  for part in ('target', 'labeled'):
    index = np.concatenate([getattr(b, part).index.ravel() for b in whole])
    assert (index < (6 if part == 'target' else 3)).sum() == 24


def test_pixels_are_those_of_the_index(data, whole):
  # The green channel is the number of an image in its own set.
  config = _config(source_image_size=(0, 0), target_image_size=(0, 0))
  for batch in _batches(data, config, num_steps=1):
    for index, image, label in zip(
      batch.source.index.ravel(),
      batch.source.image.reshape(-1, 8, 9, 3),
      batch.source.label.reshape(-1, 8, 9),
    ):
      assert (image[..., 1] == (index if index < 6 else index - 6)).all()
      red = np.where(label == 255, 200, 40 * label)
      np.testing.assert_array_equal(image[..., 0], red)


def test_any_number_of_processes_and_any_start(data, whole):
  half = _batches(data, process_index=1, process_count=2, first_step=4)
  for batch, part in zip(whole[4:], half, strict=True):
    for name in ('source', 'target', 'labeled'):
      np.testing.assert_array_equal(
        getattr(batch, name).image[2:], getattr(part, name).image
      )


def test_rare_classes_are_those_of_each_set(data):
  config = _config()
  config.rare_class.temperature = 0.01
  source, target, _ = data
  # Images of more than 2 pixels of the rare class: 3, 4, 5, and 3 of the other.
  found = test_pipeline.batches(source, target, config)
  index = np.concatenate([batch.source.index.ravel() for batch in found])
  assert set(index) == {3, 4, 5, 9} and (index == 9).sum() == 12


def test_a_bad_file_is_replaced_within_its_set(tmp_path):
  for name, count in (('first', 6), ('second', 4)):
    tiny_folder.write(tmp_path / name, count=count)
  config = _config(tmp_path, on_error='skip')
  source = datasets.load_part(config, 'source')
  pathlib.Path(source.image_paths[5]).unlink()
  found = test_pipeline.batches(source, source, config, note=lambda _: None)
  for batch in found:
    index = batch.source.index.ravel()
    image = batch.source.image.reshape(-1, 8, 9, 3)
    # Image 0 of the first set, not image 0 of the second, which is number 6.
    assert (image[index == 5][..., 1] == 0).all()


def test_a_set_may_have_a_size_of_its_own(data):
  config = _config()
  source = data[0]
  one, other = source.sets
  source = source._replace(sets=(one, other._replace(resize_to=(9, 9))))
  mixture, _ = domains.domains(config, source, data[1])
  assert [m.spec.image_size for m in mixture.members] == [(14, 18), (9, 9)]
  source = source._replace(sets=(one, other._replace(resize_to=(7, 7))))
  with pytest.raises(ValueError, match='config.data.source.second.resize_to'):
    domains.domains(config, source, data[1])
  config.source.second.resize_to = (9, 9)
  assert 'source second resized to 9 x 9' in image_size.describe(
    ml_collections.ConfigDict({'eval_image_size': (0, 0)} | config.to_dict())
  )


def test_without_a_crop_all_have_one_size(data):
  config = _config(crop_size=(0, 0), source_image_size=(0, 0))
  with pytest.raises(ValueError, match='crop_size: .*sets of config.data.sour'):
    domains.domains(config, *data[:2])


def test_pairs_of_crops_take_turns(data):
  pair = pair_crops.Spec((8, 8), (16, 20), (0.1, 1.0))
  read = pair_crops.reader(data[1], pair, 0)
  assert read(np.int64(3))['image'].shape == (2, 8, 8, 3)
  rows = [
    int(several.permuted_index(0, 'pair', np.int64(k), data[1]))
    for k in range(12)
  ]
  assert sum(row < 6 for row in rows) == 6


@pytest.mark.parametrize(
  'weights, count',
  [
    ((1, 1), [1, 1]),
    ((0.75, 0.25), [3, 1]),
    ((24966.0, 9400.0), [12483, 4700]),
  ],
)
def test_turns_have_the_ratio_of_the_weights(weights, count):
  assert several.turns(weights).lengths.tolist() == count


@pytest.mark.parametrize(
  'fields, words',
  [
    (dict(source=_sets(0.0)), 'source.first.weight: expected a number above 0'),
    (
      dict(source=_sets(class_names=('a', 'b'))),
      'source.second.class_names: .*one table',
    ),
    (dict(evaluation=_sets(2.0)), 'evaluation.first: expected weight 1'),
    (dict(source=_sets(labels='')), 'source.second.labels: expected the patt'),
    (dict(source=_sets(image='x')), 'source.second.image: .*did you mean imag'),
    (dict(source={}), 'config.data.source: expected one data set or more'),
    (
      dict(source=_sets(0.123456789)),
      'config.data.source: expected weights in the ratio of whole numbers of',
    ),
    *(
      (
        dict(source=_sets(resize_to=size)),
        f'source.second.resize_to: expected .*height, width.*got {found}',
      )
      for size, found in [
        (64, '64$'),
        ((64,), r'\(64,\)'),
        ((64, 64, 3), r'\(64, 64, 3\)'),
        ((), r'\(\)'),
        ('64', "'64'"),
        ((-64, 64), r'\(-64, 64\)'),
        ((0, 64), r'\(0, 64\)'),
        ((64.0, 64.0), r'\(64.0, 64.0\)'),
      ]
    ),
  ],
)
def test_what_does_not_fit_is_one_line(fields, words):
  config = _config()
  with config.ignore_type(), config.unlocked():
    for name, value in fields.items():
      config[name] = value
  with pytest.raises(ValueError, match=words) as error:
    checks.check(config)
  assert '\n' not in str(error.value)


def _named(*options):
  config = ml_collections.ConfigDict(
    {'data': {'source': tiny_folder.record(), 'evaluation': None}}
  )
  return overrides.apply(config.lock(), options).data


def test_published_sets_by_name_on_the_command_line():
  data = _named(
    '--config.data.source.synthia.root=/elsewhere',
    '--config.data.source=gta5:2.5,synthia',
    '--config.data.evaluation=wilddash',
  )
  assert [e.name for e in records.entries(data, 'source')] == [
    'gta5',
    'synthia',
  ]
  assert data.source.gta5.weight == 2.5 and data.source.synthia.weight == 1.0
  assert data.source.synthia.root == '/elsewhere'
  assert data.evaluation.name == 'WildDash 2'
  assert records.title(data, 'source') == 'GTA5 + SYNTHIA-RAND-CITYSCAPES'


@pytest.mark.parametrize(
  'option, words',
  [
    ('source=gta', "expected names of .*gta5,synthia:2, got 'gta'"),
    ('source=wilddash', "got 'wilddash'"),
    ('source=gta5,gta5', "each name once, got 'gta5' twice"),
    ('evaluation=acdc:x', "expected a number after 'acdc':, got 'x'"),
  ],
)
def test_names_that_are_wrong_are_one_line(option, words):
  with pytest.raises(ValueError, match=words):
    _named(f'--config.data.{option}')


def test_prepare_checks_each_set_and_the_labels_that_are_read(root, capsys):
  config = ml_collections.ConfigDict({'data': _config(root), 'seed': 0})
  assert prepare.run(config, ('source', 'target')) == []
  printed = capsys.readouterr().out
  for title in ('source first: tiny', 'source second: second tiny'):
    assert f'\n{title}\n' in printed
  assert printed.count('without labels') == 2
  assert '\ntarget_labels second: second tiny\n  2 images' in printed
  config.data.source.second.labels = 'nothing/*.png'
  assert prepare.run(config, ('source',)) == ['source second']
  assert 'config.data.source.second.labels' in capsys.readouterr().out


def test_rounds_have_one_size_of_target_images():
  config = configs.load('streets/lse')
  with config.ignore_type(), config.unlocked():
    config.data.target = blocks.sets(
      one=config.data.target, other=config.data.target
    )
  train_checks.check_config(config)
  config.data.target.other.resize_to = (48, 96)
  with pytest.raises(ValueError, match='data.target.other.resize_to: .*rounds'):
    train_checks.check_config(config)
