"""Labels of a part of the target: which, and that no other label is read."""

import pathlib

import numpy as np
import pytest

from tests.data import test_pipeline
from tests.data import tiny_folder
from uda_jax.data import checks
from uda_jax.data import datasets
from uda_jax.data import label_fraction

_DATA = tiny_folder.data(
  source_image_size=(14, 18),
  target_image_size=(13, 20),
  crop_size=(8, 9),
  scale_range=(0.8, 1.3),
  flip=True,
  margins=(2, 1, 0, 3),
  target_labels='1/3',
  target_labels_weight=1.0,
)
# Another version must not choose other images.
PINNED = (0, 3)
_PART = label_fraction.part(_DATA, seed=0)


@pytest.fixture(name='sets', scope='module')
def _sets(tmp_path_factory):
  """Source, target and labelled part; no other label of the target is left."""
  root = tmp_path_factory.mktemp('tiny')
  for name in ('source', 'target'):
    tiny_folder.write(root / name)
  for row in set(range(6)) - set(PINNED):
    (root / f'target/labels/{row:02d}.png').write_bytes(b'no image')
  config = _DATA.copy_and_resolve_references()
  config.update(
    root=str(root),
    cache_dir=str(root / 'cache'),
    source=tiny_folder.record(root='source'),
    target=tiny_folder.record(root='target'),
  )
  return (
    *(datasets.load_part(config, name) for name in ('source', 'target')),
    datasets.load_labeled(config, _PART),
  )


@pytest.fixture(name='whole', scope='module')
def _whole(sets):
  return _batches(sets)


def _batches(sets, **kwargs):
  source, target, labeled = sets
  return test_pipeline.batches(source, target, _DATA, labeled=labeled, **kwargs)


def test_rows_are_a_function_of_the_seed_and_nested():
  rows = lambda text, seed=0, count=160: label_fraction.part(
    dict(target_labels=text, target_labels_weight=1.0), seed
  ).rows(count)
  assert rows('1/16') == rows('0.0625') == tuple(sorted(rows('1/16')))
  assert len(rows('1/16')) == 10 and len(rows('1/1000')) == 1
  assert rows('1') == tuple(range(160))
  assert set(rows('1/16')) < set(rows('1/8')) and rows('1/8', 1) != rows('1/8')
  assert rows('1/3', count=6) == _PART.rows(6) == PINNED


def test_the_labels_of_the_rest_are_not_read(sets, whole):
  _, target, labeled = sets
  assert not target.labeled and labeled.labeled
  chosen = [pathlib.Path(path).name for path in labeled.image_paths]
  assert chosen == [f'{row:02d}.png' for row in PINNED]
  for batch in whole:
    assert batch.target.label is None
    part = batch.labeled
    assert part.image.shape == batch.target.image.shape
    assert part.label.dtype == np.int32 and (part.label < 255).any()
  # Every labelled image as often as the other: 6 steps of 8 rows.
  index = np.concatenate([batch.labeled.index.ravel() for batch in whole])
  np.testing.assert_array_equal(np.bincount(index), [24, 24])


def test_other_images_are_those_without_it(sets, whole):
  plain = test_pipeline.batches(*sets[:2], _DATA)
  for with_part, without in zip(whole, plain, strict=True):
    test_pipeline.assert_equal(with_part._replace(labeled=None), without)


def test_a_share_from_any_step_without_target_images(sets, whole):
  share = _batches(
    sets, process_index=1, process_count=2, first_step=4, read_target=False
  )
  for batch, part in zip(whole[4:], share, strict=True):
    assert part.target is None
    np.testing.assert_array_equal(batch.labeled.image[2:], part.labeled.image)
    np.testing.assert_array_equal(batch.labeled.label[2:], part.labeled.label)


def test_weight_0_reads_none():
  off = dict(target_labels='1/16', target_labels_weight=0.0)
  assert label_fraction.part(off, 0) is None
  assert label_fraction.part({}, 0) is None


@pytest.mark.parametrize('text', ['0', '1/0', '3/2', 'half', '-1/2', 0.5])
def test_no_fraction(text):
  data = dict(target_labels=text, target_labels_weight=1.0)
  with pytest.raises(ValueError, match='config.data.target_labels: .*1/16'):
    label_fraction.part(data, 0)


@pytest.mark.parametrize(
  'fields, words',
  [
    (dict(labels=''), 'config.data.target.labels: expected the pattern'),
    (dict(class_names=('a', 'b')), 'config.data.target.class_names: .*learns'),
  ],
)
def test_a_target_without_such_labels_is_refused(fields, words):
  config = _DATA.copy_and_resolve_references()
  config.update(
    cache_dir='cache',
    source=tiny_folder.record(),
    target=tiny_folder.record(**fields),
    evaluation=tiny_folder.record(),
  )
  with pytest.raises(ValueError, match=words):
    checks.check(config)
