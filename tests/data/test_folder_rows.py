"""Prepared rows: kept after a kill; labels in colors; copies; buckets."""

import os
import pathlib
import types

from etils import epath
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data import tiny_folder
from uda_jax import files
from uda_jax.data import datasets
from uda_jax.data import domains as domains_lib
from uda_jax.data import examples
from uda_jax.data import folder_rows
from uda_jax.data import folders
from uda_jax.data import image_files
from uda_jax.data import label_files
from uda_jax.data import manifest
from uda_jax.data import transforms


@pytest.fixture(name='folder')
def _folder(tmp_path):
  return tiny_folder.write(tmp_path / 'data')


load = tiny_folder.load


@pytest.fixture(name='looked_at')
def _looked_at(monkeypatch):
  """Returns the list to which the names of decoded images are added."""
  names = []
  original = image_files.read_for_training
  monkeypatch.setattr(
    image_files,
    'read_for_training',
    lambda path, **how: (names.append(path.stem), original(path, **how))[1],
  )
  return names


def test_all_that_is_broken_is_listed_and_the_rest_is_done(folder, looked_at):
  good = (folder / 'images/01.png').read_bytes()
  (folder / 'images/01.png').write_bytes(good[:-40])
  (folder / 'labels/02.png').unlink()
  Image.fromarray(np.full((12, 16), 9, np.uint8)).save(folder / 'labels/03.png')
  Image.fromarray(np.zeros((5, 5), np.uint8)).save(folder / 'labels/04.png')
  with pytest.raises(manifest.Broken, match='and 3 more') as caught:
    load(folder)
  for problem, words in zip(
    caught.value.problems,
    (
      ('images/01.png', 'truncated'),
      ('02.png', 'no label'),
      ('labels/03.png', 'got 9 in 192 pixels'),
      ('labels/04.png', '5 x 5'),
    ),
  ):
    assert all(word in problem for word in words), problem
  assert len(caught.value.problems) == 4
  # Replaced files are looked at, and so is what was broken; the others not.
  (folder / 'images/01.png').write_bytes(good)
  for number in (2, 3, 4):
    Image.fromarray(np.ones((12, 16), np.uint8)).save(
      folder / f'labels/{number:02d}.png'
    )
  looked_at.clear()
  assert load(folder).class_pixels[3].tolist() == [0, 192, 0]
  assert sorted(looked_at) == ['01', '02', '03', '04']


def test_a_kill_loses_nothing_that_is_done(folder, looked_at, monkeypatch):
  """Stops as a kill does: in the middle of writing a label."""
  write = files.write_atomically
  written = []

  def killed(path, content):
    if len(written) == 5:
      raise KeyboardInterrupt
    written.append(path)
    write(path, content)

  monkeypatch.setattr(folder_rows.cores, 'count', lambda: 1)
  monkeypatch.setattr(files, 'write_atomically', killed)
  with pytest.raises(KeyboardInterrupt):
    load(folder)
  done = {path for path in written if path.suffix == '.json'}
  assert len(done) == 2
  # A file of which a part was written lies under another name.
  stray = written[0].with_name(f'.0123_{written[-1].name}')
  stray.write_bytes(b'\x89PNG')
  monkeypatch.setattr(files, 'write_atomically', write)
  looked_at.clear()
  data = load(folder)
  assert sorted(looked_at) == ['02', '03', '04', '05']
  for number, path in enumerate(data.label_paths):
    np.testing.assert_array_equal(
      np.asarray(Image.open(path)),
      np.asarray(Image.open(folder / f'labels/{number:02d}.png')),
    )


def test_a_done_file_that_is_damaged_is_made_again(folder):
  first = load(folder)
  for path in pathlib.Path(first.label_paths[0]).parent.glob('*.json'):
    path.write_text('')
  # A touched file is looked at, so is all that is not known to be done.
  os.utime(folder / 'images/00.png', (1, 1))
  assert (load(folder).class_pixels == first.class_pixels).all()


def test_a_relative_root_is_found_from_anywhere(folder, monkeypatch):
  monkeypatch.chdir(folder.parent)
  data = datasets.load(
    tiny_folder.record(),
    root='data',
    cache_dir='cache',
    field='config.data.source',
    labels=False,
  )
  assert data.image_paths[0] == str(folder / 'images/00.png')


def test_sizes_that_differ_are_noted(folder):
  label = np.asarray(Image.open(folder / 'labels/04.png'))
  Image.fromarray(label[:, :-1]).save(folder / 'labels/04.png')
  data = load(folder, resize_labels=True, published_size=(12, 16))
  (note,) = data.notes
  assert 'labels/04.png: 12 x 15, brought to the 12 x 16' in note
  assert (
    load(folder, resize_labels=True, published_size=(12, 16)).notes
    == data.notes
  )
  notes = load(folder, resize_labels=True, published_size=(13, 16)).notes
  assert len(notes) == 6 and '12 x 16, published are 13 x 16' in notes[0]


COLORS = (
  ((128, 64, 128), 0),
  ((70, 130, 180), 1),
  ((0, 0, 1), 2),
  ((0, 0, 0), 255),
)


@pytest.mark.parametrize('palette', [False, True])
def test_labels_in_colors(folder, palette):
  expected = {}
  for path in sorted((folder / 'labels').iterdir()):
    label = np.asarray(Image.open(path))
    colors = np.zeros((256, 3), np.uint8)
    for color, train_id in COLORS:
      colors[train_id] = color
    expected[path.name] = label
    image = Image.fromarray(colors[label])
    # A palette in an order that means nothing.
    (image.quantize(4) if palette else image).save(path)
  data = load(folder, label_colors=COLORS)
  for path, label in zip(data.label_paths, expected.values()):
    np.testing.assert_array_equal(np.asarray(Image.open(path)), label)
  with pytest.raises(
    ValueError, match=r'00.png.*label_colors.*got \(0, 0, 0\) in 96 pixels'
  ):
    load(folder, label_colors=COLORS[:-1])
  with pytest.raises(ValueError, match='label_colors: expected rows'):
    load(folder, label_colors=(((0, 0, 0), 3),))


def _photos(folder, size):
  """Smooth noise, so that resizing has something to round."""
  random = np.random.default_rng(0)
  for path in (folder / 'images').iterdir():
    small = Image.fromarray(random.integers(0, 256, (9, 13, 3), np.uint8))
    small.resize(size[::-1], Image.Resampling.BICUBIC).save(path)
  for path in (folder / 'labels').iterdir():
    Image.open(path).resize(size[::-1], Image.Resampling.NEAREST).save(path)


@pytest.mark.parametrize(
  'part, resize, keep_ratio, wanted',
  [
    ('source', 'bilinear', True, (70, 97)),
    ('target', 'bicubic', False, (61, 97)),
  ],
)
def test_training_on_copies_is_training_on_images(
  folder, part, resize, keep_ratio, wanted
):
  _photos(folder, (131, 203))
  config = tiny_folder.data(
    source=tiny_folder.record(),
    target=tiny_folder.record(),
    root=str(folder),
    cache_dir=str(folder.parent / 'cache'),
    source_image_size=wanted,
    target_image_size=wanted,
    resize=resize,
    keep_ratio=keep_ratio,
    crop_size=(31, 43),
    flip=True,
    rare_class=dict(temperature=0.1, min_pixels=1, min_crop_ratio=2.0),
  )
  batches = []
  for copies in (False, True):
    config.resized_copies = copies
    data = [datasets.load_part(config, name) for name in ('source', 'target')]
    assert (data[0].heights[0] < 131) == copies
    domain = domains_lib.domains(config, *data)[part == 'target']
    read = tf.function(examples.reader(domain, 0))
    batches.append(
      [
        {
          name: value.numpy()
          for name, value in read(tf.constant(k, tf.int64)).items()
        }
        for k in range(12)
      ]
    )
  for as_read, copied in zip(*batches):
    for name, value in as_read.items():
      np.testing.assert_array_equal(copied[name], value, err_msg=name)


def test_copies_that_make_no_sense_are_refused(folder):
  with pytest.raises(ValueError, match='resized_copies.*shrink'):
    load(folder, resize=transforms.Spec(image_size=(24, 32)))
  config = tiny_folder.data(
    source=tiny_folder.record(), root='', cache_dir='', resized_copies=True
  )
  with pytest.raises(ValueError, match='resized_copies.*source_image_size'):
    datasets.load_part(config, 'source')


def _stat(path):
  """Returns the stat of a file, which the mocked file system lacks."""
  with tf.io.gfile.GFile(path, 'rb') as file:
    return types.SimpleNamespace(
      length=len(file.read()), mtime_nsec=0, is_directory=False, mode=0
    )


def test_files_in_a_bucket(folder, monkeypatch):
  """Up to the manifest, which TensorFlow Datasets writes anywhere."""
  monkeypatch.setattr(tf.io.gfile, 'stat', _stat)
  values = dict(tiny_folder.record(root='set'))
  del values['kind']
  with tfds.testing.MockFs():
    for path in folder.glob('*/*.png'):
      name = f'gs://bucket/set/{path.relative_to(folder)}'
      tf.io.gfile.makedirs(name.rpartition('/')[0])
      with tf.io.gfile.GFile(name, 'wb') as file:
        file.write(path.read_bytes())
    recipe = folders.recipe(
      folders.FolderRecord(**values),
      root='gs://bucket',
      field='config.data.source',
      labels=True,
    )
    made = epath.Path('gs://bucket/cache/files')
    rows = list(recipe.rows(made))
    assert rows[5].image == 'gs://bucket/set/images/05.png'
    assert rows[5].class_pixels.tolist() == [83, 88, 5]
    label = label_files.read_label(made / rows[5].label)
    assert (label == 2).sum() == 5
    # A second start reads what the first one did.
    monkeypatch.setattr(image_files, 'read_for_training', None)
    assert [row.label for row in recipe.rows(made)] == [
      row.label for row in rows
    ]


def test_the_advice_on_masks_of_0_and_255_is_taken(folder):
  for path in (folder / 'labels').iterdir():
    label = np.asarray(Image.open(path))
    Image.fromarray(np.where(label == 1, 255, 0).astype(np.uint8)).save(path)
  names = dict(class_names=('background', 'object'))
  with pytest.raises(
    ValueError, match=r'set .*label_map=(\S+ \S+ \S+ \S+)'
  ) as e:
    load(folder, **names)
  assert 'label_map=((0, 0), (255, 1))' in str(e.value)
  data = load(folder, label_map=((0, 0), (255, 1)), **names)
  assert (data.class_pixels > 0).all()


def test_a_cache_that_cannot_be_made_is_named(folder):
  cache = folder / 'images/00.png'
  with pytest.raises(ValueError, match=r'config\.data\.cache_dir: .*00\.png'):
    datasets.load(
      tiny_folder.record(),
      root=str(folder),
      cache_dir=str(cache / 'cache'),
      field='config.data.source',
      labels=True,
    )
