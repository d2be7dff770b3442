"""Batches: pure functions of (seed, step), for any number of readers."""

import pathlib

import jax
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from tests.data import tiny_folder
from uda_jax.data import domains as domains_lib
from uda_jax.data import examples
from uda_jax.data import image_size
from uda_jax.data import pipeline
from uda_jax.data import splits

# Everything that is random is on.
_CONFIG = tiny_folder.data(
  source_image_size=(14, 18),
  target_image_size=(13, 20),
  crop_size=(8, 9),
  scale_range=(0.8, 1.3),
  max_class_share=0.9,
  flip=True,
  margins=(2, 1, 0, 3),
)


load = tiny_folder.load


@pytest.fixture(name='folder', scope='module')
def _folder(tmp_path_factory):
  return tiny_folder.write(tmp_path_factory.mktemp('tiny') / 'data')


@pytest.fixture(name='source', scope='module')
def _source(folder):
  return load(folder, True)


@pytest.fixture(name='target', scope='module')
def _target(folder):
  return load(folder, False)


def batches(source, target, config=_CONFIG, **kwargs):
  return list(
    pipeline.train_batches(
      config,
      **(
        dict(
          seed=5,
          first_step=0,
          num_steps=6,
          groups=4,
          group_size=2,
          process_index=0,
          process_count=1,
          source=source,
          target=target,
        )
        | kwargs
      ),
    )
  )


def assert_equal(first, second):
  jax.tree.map(np.testing.assert_array_equal, first, second)
  assert jax.tree.structure(first) == jax.tree.structure(second)


def test_contract(source, target):
  batch = batches(source, target)[0]
  kinds = jax.tree.map(lambda x: (x.dtype.name, x.shape), batch)
  assert kinds.source == (
    ('uint8', (4, 2, 8, 9, 3)),
    ('int32', (4, 2, 8, 9)),
    ('int32', (4, 2)),
  )
  assert kinds.target == (
    ('uint8', (4, 2, 8, 9, 3)),
    ('bool', (4, 2, 8, 9)),
    None,
    ('int32', (4, 2)),
  )
  assert batch.views is None


def test_no_target_image_is_opened_for_a_method_without_target(source, target):
  whole = batches(source, target)
  gone = target._replace(
    image_paths=[f'{path}.gone' for path in target.image_paths]
  )
  for batch, alone in zip(
    whole, batches(source, gone, read_target=False), strict=True
  ):
    assert alone.target is None and alone.views is None
    assert_equal(batch.source, alone.source)


def test_two_processes_read_what_one_reads(source, target):
  one = batches(source, target)
  shares = [
    batches(source, target, process_index=p, process_count=2) for p in range(2)
  ]
  for whole, *parts in zip(one, *shares, strict=True):
    assert parts[0].source.image.shape[0] == 2
    assert_equal(whole, jax.tree.map(lambda *x: np.concatenate(x), *parts))


def test_groups_that_cannot_be_shared_are_refused(source, target):
  with pytest.raises(ValueError, match='config.batch.groups.*2 processes'):
    batches(source, target, groups=3, process_count=2)


def test_resumed_at_any_step(source, target):
  whole = batches(source, target)
  for batch, again in zip(
    whole[4:], batches(source, target, first_step=4), strict=True
  ):
    assert_equal(batch, again)
  other = batches(source, target, seed=6)
  assert any(
    (a.source.image != b.source.image).any() for a, b in zip(whole, other)
  )


def test_every_epoch_reads_every_image_once(source, target):
  # 3 steps of 8 rows are 4 epochs of 6 images.
  all_of_them = batches(source, target)
  for domain in ('source', 'target'):
    indices = np.concatenate(
      [getattr(batch, domain).index.ravel() for batch in all_of_them]
    )
    epochs = np.sort(indices.reshape(-1, 6))
    np.testing.assert_array_equal(epochs, [list(range(6))] * len(epochs))
  assert (all_of_them[0].source.index != all_of_them[0].target.index).any()


def test_image_label_and_trusted_stay_together(folder, source):
  # A labelled target, as LSE makes it; red is 40 * label in every image, and
  # without resizing crops and mirroring must keep it so.
  config = tiny_folder.data(crop_size=(8, 9), flip=True, margins=(0, 1, 0, 0))
  first = np.asarray(Image.open(folder / 'images/00.png'))
  mirrored = 0
  for batch in batches(source, source, config):
    for part in (batch.source, batch.target):
      red = part.image[..., 0].astype(int)
      np.testing.assert_array_equal(
        red, np.where(part.label == 255, 200, 40 * part.label)
      )
      np.testing.assert_array_equal(part.image[..., 0, 0, 1], part.index)
    # The margin is the one row of 255 at the bottom.
    np.testing.assert_array_equal(
      batch.target.valid_mask, batch.target.label != 255
    )
    for image in batch.source.image[batch.source.index == 0]:
      windows = np.lib.stride_tricks.sliding_window_view(first, (8, 9, 3))[
        :, :, 0
      ]
      straight = (windows == image).all((2, 3, 4)).any()
      backward = (windows == image[:, ::-1]).all((2, 3, 4)).any()
      assert straight != backward
      mirrored += backward
  # 8 crops of the first image.
  assert 0 < mirrored < 8


def test_eager_equals_in_pipeline(source, target):
  whole = batches(source, target)
  domains = domains_lib.domains(_CONFIG, source, target)
  for domain, name in zip(domains, ('source', 'target')):
    read = examples.reader(domain, 5)
    for element in (0, 7, 13):
      values = read(tf.constant(element, tf.int64))
      part = getattr(whole[element // 8], name)
      for field, value in values.items():
        if hasattr(part, field):
          rows = getattr(part, field).reshape(8, *value.shape)
          np.testing.assert_array_equal(rows[element % 8], value)


def test_rare_classes_are_asked_for(source, target):
  config = tiny_folder.data(
    crop_size=(8, 9),
    rare_class=dict(temperature=0.01, min_pixels=3, min_crop_ratio=0.4),
  )
  # At T = 0.01 only the rarest class counts; images 4 and 5 have more than 3
  # pixels of it.
  chosen = np.concatenate(
    [batch.source.index.ravel() for batch in batches(source, target, config)]
  )
  assert set(chosen) == {4, 5}


def test_padding(source, target):
  config = tiny_folder.data(crop_size=(15, 16), pad=True)
  batch = batches(source, target, config, num_steps=1)[0]
  assert (batch.source.label[..., 12:, :] == 255).all()
  assert not batch.source.image[..., 12:, :, :].any()
  np.testing.assert_array_equal(
    batch.target.valid_mask[0, 0].all(1), np.arange(15) < 12
  )


@pytest.mark.parametrize(
  'fields,words',
  [
    (dict(crop_size=(13, 8)), r'crop_size.*\(12, 16\).*pad=True'),
    (dict(crop_size=(11, 8), scale_range=(0.5, 1.0)), r'crop_size.*\(6, 8\)'),
    (dict(scale_range=(0.5, 1.0)), r'crop_size'),
    (dict(resize='cubic'), r"config.data.resize.*'cubic'"),
  ],
)
def test_impossible_sizes_are_refused(source, target, fields, words):
  with pytest.raises(ValueError, match=words):
    # Before the first batch is asked for.
    pipeline.train_batches(
      tiny_folder.data(**fields),
      seed=0,
      first_step=0,
      num_steps=1,
      groups=1,
      group_size=1,
      process_index=0,
      process_count=1,
      source=source,
      target=target,
    )


@pytest.mark.parametrize('kind', ['images', 'labels'])
def test_file_that_broke_is_named(tmp_path, kind):
  source = load(tiny_folder.write(tmp_path / 'data'), True)
  paths = source.image_paths if kind == 'images' else source.label_paths
  path = pathlib.Path(paths[3])
  path.write_bytes(path.read_bytes()[:60])
  with pytest.raises(OSError, match=str(path)):
    batches(source, source, tiny_folder.data())
  with pytest.raises(OSError, match=str(path)):
    list(splits.eval_batches(source, batch_size=4))
  path.unlink()
  with pytest.raises(OSError, match=str(path)):
    batches(source, source, tiny_folder.data())


@pytest.mark.parametrize('kind', ['images', 'labels'])
def test_bad_files_are_left_out_and_listed(tmp_path, kind):
  config = tiny_folder.data(on_error='skip')
  source = load(tiny_folder.write(tmp_path / 'data'), True)
  whole = batches(source, source, config)
  paths = source.image_paths if kind == 'images' else source.label_paths
  pathlib.Path(paths[2]).unlink()
  pathlib.Path(paths[3]).write_bytes(b'damaged')
  lines = []
  note = dict(note=lines.append)
  found = batches(source, source, config, **note)
  assert len(found) == len(whole)
  noted = [
    line for path in (paths[2], paths[3]) for line in lines if path in line
  ]
  assert sorted(noted) == sorted(lines) and len(lines) == 2
  # Image 4 in the place of both, everything else as it was: also from any step.
  for step, (a, b) in enumerate(zip(found, whole)):
    bad = np.isin(b.source.index, [2, 3])
    np.testing.assert_array_equal(a.source.index, b.source.index)
    np.testing.assert_array_equal(a.source.image[~bad], b.source.image[~bad])
    assert bad.any() or step
  # One process of two, which finds other files first, finds the same images.
  half = dict(process_index=1, process_count=2)
  again = batches(source, source, config, first_step=3, **half, **note)
  for a, b in zip(again, found[3:], strict=True):
    np.testing.assert_array_equal(a.source.image, b.source.image[2:])


def test_no_file_is_left(tmp_path):
  source = load(tiny_folder.write(tmp_path / 'data'), True)
  for path in source.image_paths:
    pathlib.Path(path).unlink()
  with pytest.raises(OSError, match='no image is left'):
    batches(
      source, source, tiny_folder.data(on_error='skip'), note=lambda _: None
    )


def test_evaluation_yields_every_image_once(folder, source):
  seen = []
  for process in range(2):
    for batch in splits.eval_batches(
      source, batch_size=2, process_index=process, process_count=2
    ):
      assert batch.image.shape == (2, 12, 16, 3)
      assert batch.label.dtype == np.int32
      for image, label, valid, index in zip(*batch):
        if valid:
          seen.append(index)
          name = f'{index:02d}.png'
          np.testing.assert_array_equal(
            image, Image.open(folder / 'images' / name)
          )
          np.testing.assert_array_equal(
            label, Image.open(folder / 'labels' / name)
          )
        else:
          assert (label == 255).all()
  assert sorted(seen) == list(range(6))


def test_evaluation_resizes_images_and_not_labels(source, target):
  (batch,) = splits.eval_batches(
    source, batch_size=8, rule=image_size.Rule((6, 8))
  )
  assert batch.image.shape == (8, 6, 8, 3) and batch.label.shape == (8, 12, 16)
  assert batch.valid.sum() == 6
  (batch,) = splits.eval_batches(target, batch_size=6)
  assert batch.label is None


@pytest.mark.parametrize('size', [(5, 7), (20, 30), (12, 16)])
def test_evaluation_brings_labels_to_a_size_as_pillow_does(source, size):
  (batch,) = splits.eval_batches(source, batch_size=7, label_size=size)
  assert batch.image.shape[1:3] == (12, 16)
  for path, label in zip(source.label_paths, batch.label):
    with Image.open(path) as file:
      resized = file.resize(size[::-1], Image.Resampling.NEAREST)
    np.testing.assert_array_equal(label, resized)
  assert (batch.label[6] == 255).all()


def test_evaluation_of_several_sizes_goes_one_by_one(tmp_path):
  folder = tiny_folder.write(tmp_path / 'data', count=3)
  tiny_folder.write(tmp_path / 'other', count=2, size=(10, 10))
  for kind in ('images', 'labels'):
    for number in range(2):
      (tmp_path / f'other/{kind}/{number:02d}.png').rename(
        folder / f'{kind}/1{number}.png'
      )
  data = load(folder, True)
  shares = [
    list(
      splits.eval_batches(data, batch_size=4, process_index=p, process_count=2)
    )
    for p in range(2)
  ]
  shapes = [[batch.label.shape for batch in share] for share in shares]
  assert shapes[0] == shapes[1] == [(1, 10, 10)] + 2 * [(1, 12, 16)]
  valid = [
    int(batch.index[0]) for share in shares for batch in share if batch.valid[0]
  ]
  assert sorted(valid) == list(range(5))
  # One for each of two devices; fewer if that is enough for all processes.
  (small, large), *others = zip(
    *(
      splits.eval_batches(
        data, batch_size=1, process_index=p, process_count=2, devices=2
      )
      for p in range(2)
    )
  )
  assert [b.label.shape for b in (small, large)] == [(1, 10, 10)] * 2
  [(first, second)] = others
  assert [b.label.shape for b in (first, second)] == [(2, 12, 16)] * 2
  assert first.valid.tolist() + second.valid.tolist() == [True] * 3 + [False]
  indices = [i for b in (small, large, first, second) for i in b.index[b.valid]]
  assert sorted(indices) == list(range(5))


@pytest.mark.parametrize('kind', ['image', 'label'])
def test_a_file_of_another_size_is_named(tmp_path, kind):
  source = load(tiny_folder.write(tmp_path / 'data'), True)
  path = getattr(source, f'{kind}_paths')[1]
  with Image.open(path) as image:
    mode, (width, height) = image.mode, image.size
  Image.new(mode, (width + 4, height)).save(path)
  message = (
    f'{path}: expected {height} x {width} pixels.*{height} x {width + 4}'
  )
  with pytest.raises(OSError, match=message):
    batches(source, source, num_steps=8)
  with pytest.raises(OSError, match=message):
    list(splits.eval_batches(source, batch_size=1))


@pytest.mark.parametrize('margins', [(8, 5, 0, 0), (0, 0, 20, 3)])
def test_margins_that_cover_an_image_are_refused(source, target, margins):
  config = tiny_folder.data(target_image_size=(13, 20), margins=margins)
  with pytest.raises(ValueError, match=r'data\.margins: .*00\.png.*\(13, 20\)'):
    batches(source, target, config)
