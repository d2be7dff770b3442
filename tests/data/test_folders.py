"""Folder records: files that are read or refused, and the files written."""

import os
import pathlib
import struct
import tempfile
import zlib

import numpy as np
from PIL import Image
import pytest

from tests.data import tiny_folder
from uda_jax.data import manifest
from uda_jax.data import prepared
from uda_jax.runs import resume
from uda_jax.runs import upgrade


@pytest.fixture(name='folder')
def _folder(tmp_path):
  return tiny_folder.write(tmp_path / 'data')


load = tiny_folder.load


def refused(folder, *words, error=ValueError, **fields):
  """Asserts one error with all the words, and that no data set is left."""
  with pytest.raises(error) as caught:
    load(folder, **fields)
  for word in words:
    assert word in str(caught.value)
  cache = folder.parent / 'cache'
  assert not list(cache.glob('prepared/*/*'))


def test_manifest_holds_paths_sizes_and_counts(folder):
  data = load(folder)
  assert data.labeled and data.class_names == tiny_folder.CLASSES
  assert [pathlib.Path(p).stem for p in data.image_paths] == [
    f'{n:02d}' for n in range(6)
  ]
  assert (data.heights == 12).all() and (data.widths == 16).all()
  for number, counts in enumerate(data.class_pixels):
    assert counts.tolist() == [88 - number, 88, number]
  label = np.asarray(Image.open(data.label_paths[3]))
  original = np.asarray(Image.open(folder / 'labels/03.png'))
  np.testing.assert_array_equal(label, original)
  assert len(set(data.palette)) == 3


def test_second_start_reads_and_changed_data_are_prepared_again(folder):
  first = load(folder)
  prepared = pathlib.Path(first.label_paths[0])
  stamp = prepared.stat().st_mtime_ns
  assert load(folder).label_paths == first.label_paths
  assert prepared.stat().st_mtime_ns == stamp
  label = np.asarray(Image.open(folder / 'labels/00.png')).copy()
  label[3, 3] = 2
  Image.fromarray(label).save(folder / 'labels/00.png')
  os.utime(folder / 'labels/00.png', (1, 1))
  again = load(folder)
  assert again.label_paths[0] != first.label_paths[0]
  assert again.class_pixels[0, 2] == 1


def test_preparing_leaves_nothing_in_the_temporary_folder(folder, monkeypatch):
  temporary = folder.parent / 'temporary'
  temporary.mkdir()
  monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
  load(folder)
  assert not list(temporary.iterdir())


def test_unlabelled_target_never_looks_at_its_labels(folder):
  for path in (folder / 'labels').iterdir():
    path.unlink()
  (folder / 'labels').rmdir()
  data = load(folder, labeled=False)
  assert not data.labeled and len(data.image_paths) == 6
  assert data.class_pixels.sum() == 0


def test_changed_target_labels_change_nothing(folder):
  before = load(folder, labeled=False)
  (folder / 'labels/00.png').write_text('no image')
  assert load(folder, labeled=False).image_paths == before.image_paths
  prepared = list((folder.parent / 'cache/prepared').iterdir())
  assert len(prepared) == 1
  assert not list((folder.parent / 'cache').rglob('*.png'))


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_palette_labels_are_read_as_indices(folder, bits):
  label = np.asarray(Image.open(folder / 'labels/05.png')) % 2
  image = Image.fromarray(label.astype(np.uint8), mode='P')
  image.putpalette([200, 10, 10, 10, 200, 10])
  image.save(folder / 'labels/05.png', bits=bits)
  data = load(folder)
  np.testing.assert_array_equal(
    np.asarray(Image.open(data.label_paths[5])), label
  )


def png(pixels, bits, colour_type):
  """Writes PNG samples of any bit depth, which Pillow cannot."""
  chunk = lambda name, body: (
    struct.pack('>I', len(body))
    + name
    + body
    + struct.pack('>I', zlib.crc32(name + body))
  )
  rows = []
  for row in pixels.reshape(len(pixels), -1):
    if bits == 16:
      body = row.astype('>u2').tobytes()
    else:
      expanded = (row[:, None] >> np.arange(bits)[::-1] & 1).ravel()
      body = np.packbits(expanded.astype(np.uint8)).tobytes()
    rows.append(b'\0' + body)
  header = struct.pack(
    '>IIBBBBB', pixels.shape[1], len(pixels), bits, colour_type, 0, 0, 0
  )
  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', header)
    + chunk(b'IDAT', zlib.compress(b''.join(rows)))
    + chunk(b'IEND', b'')
  )


@pytest.mark.parametrize('bits', [1, 2, 4])
def test_grey_labels_of_few_bits_keep_their_ids(folder, bits):
  label = np.asarray(Image.open(folder / 'labels/05.png')) % 2
  (folder / 'labels/05.png').write_bytes(png(label, bits, 0))
  data = load(folder)
  np.testing.assert_array_equal(
    np.asarray(Image.open(data.label_paths[5])), label
  )


def test_sixteen_bit_labels_are_not_cut(folder):
  label = np.asarray(Image.open(folder / 'labels/05.png'))
  raw = np.where(label == 2, 300, label.astype(np.uint16))
  (folder / 'labels/05.png').write_bytes(png(raw, 16, 0))
  with pytest.raises(ValueError, match='got 300 in 5 pixels'):
    load(folder)
  data = load(folder, label_map=((0, 0), (1, 1), (2, 2), (300, 2)))
  np.testing.assert_array_equal(
    np.asarray(Image.open(data.label_paths[5])), label
  )


def test_sixteen_bit_colour_labels_need_a_channel(folder):
  label = np.asarray(Image.open(folder / 'labels/05.png')).astype(np.uint16)
  pixels = np.stack([label, label + 300, 0 * label], -1)
  for path in (folder / 'labels').iterdir():
    path.write_bytes(png(pixels, 16, 2))
  refused(folder, '00.png', 'label_channel')
  refused(folder, '00.png', 'label_channel=3', label_channel=3)
  data = load(folder, label_channel=0)
  np.testing.assert_array_equal(
    np.asarray(Image.open(data.label_paths[5])), label
  )


def test_gray_ids_in_rgb_mean_the_same_by_channel_and_by_color(folder):
  """Runs of earlier versions of `adapt` read them by channel."""
  label = np.asarray(Image.open(folder / 'labels/05.png')).copy()
  label[0, 0] = 9
  for path in (folder / 'labels').iterdir():
    Image.fromarray(np.stack([label] * 3, -1)).save(path)
  rows = [(0, 2), (1, 0), (2, 1), (9, 255), (255, 255)]
  by_channel = load(
    folder, label_channel=0, label_map=tuple(rows), ignore_ids=()
  )
  found = np.asarray(Image.open(by_channel.label_paths[5]))
  colors = tuple(((i, i, i), c) for i, c in rows)
  by_color = load(folder, label_colors=colors)
  np.testing.assert_array_equal(
    np.asarray(Image.open(by_color.label_paths[5])), found
  )
  assert found[0, 0] == 255 and (found[label == 1] == 0).all()
  old = {'data': {'source': {'kind': 'folder', 'label_channel': 0}}}
  new = upgrade.upgrade(old | {'method': {'name': 'hrda', 'add': []}})
  assert new['data']['source']['label_channel'] == 0


def test_label_map_and_ignored_ids(folder):
  data = load(
    folder,
    class_names=('any', 'rare'),
    label_map=((0, 0), (1, 0), (2, 1), (255, 255)),
    ignore_ids=(),
  )
  assert data.class_pixels[4].tolist() == [172, 4]
  data = load(folder, ignore_ids=(255, 2), label_map=((0, 0), (1, 1)))
  assert data.class_pixels[4].tolist() == [84, 88, 0]
  label = np.asarray(Image.open(data.label_paths[4]))
  assert (label[0, :4] == 255).all()


def test_unknown_ids_are_refused(folder):
  label = np.asarray(Image.open(folder / 'labels/02.png')).copy()
  label[5, 5:9] = 7
  Image.fromarray(label).save(folder / 'labels/02.png')
  refused(
    folder,
    'labels/02.png',
    'got 7 in 4 pixels',
    'config.data.source.label_map',
    'config.data.source.ignore_ids',
  )


@pytest.mark.parametrize('kind', ['images', 'labels'])
def test_truncated_files_are_refused(folder, kind):
  path = folder / kind / '04.png'
  path.write_bytes(path.read_bytes()[:-40])
  refused(folder, f'{kind}/04.png', 'truncated')


def test_truncated_jpeg_is_refused(folder):
  path = folder / 'images/04.jpg'
  pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  Image.fromarray(pixels).save(path)
  path.write_bytes(path.read_bytes()[:-400])
  refused(folder, 'images/04.jpg', 'truncated', images='images/*.jpg')


def test_files_that_are_no_images_are_refused(folder):
  (folder / 'images/04.png').write_text('hello')
  refused(folder, 'images/04.png', 'expected an image')


def test_formats_of_other_decoders_become_copies(folder):
  pixels = np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)
  Image.fromarray(pixels).save(folder / 'images/04.tif')
  (folder / 'images/04.png').unlink()
  data = load(folder, images='images/*')
  assert data.image_paths[4].startswith(str(folder.parent / 'cache'))
  assert data.image_paths[3] == str(folder / 'images/03.png')
  np.testing.assert_array_equal(
    np.asarray(Image.open(data.image_paths[4])), pixels
  )


def test_copies_are_known_by_the_files_of_the_data_set(folder):
  (folder / 'images/04.png').rename(folder / 'images/04.bmp')
  image = Image.open(folder / 'images/04.bmp')
  image.save(folder / 'images/04.bmp')
  data = load(folder, images='images/*')
  assert data.originals[3:5] == (
    str(folder / 'images/03.png'),
    str(folder / 'images/04.bmp'),
  )
  assert manifest.take(data, [4]).originals == data.originals[4:5]
  both = manifest.joined([(manifest.Set('a', '', 0, 0), data)] * 2)
  assert both.originals == data.originals * 2
  # A moved data set is the same one, an edited file makes it another.
  before = resume.describe_data(data)
  moved = folder.rename(folder.parent / 'moved')
  assert resume.describe_data(load(moved, images='images/*')) == before
  Image.fromarray(np.asarray(image)[::-1]).save(moved / 'images/03.png')
  after = resume.describe_data(load(moved, images='images/*'))
  assert resume.data_changes(
    [{'data': {'source': before}}], {'source': after}
  ) == ['source: other contents of files than before']


def test_sizes_must_agree_unless_labels_may_be_resized(folder):
  label = np.asarray(Image.open(folder / 'labels/04.png'))
  Image.fromarray(label.repeat(2, 0).repeat(2, 1)).save(
    folder / 'labels/04.png'
  )
  refused(
    folder,
    'labels/04.png',
    '12 x 16',
    '24 x 32',
    'config.data.source.resize_labels',
  )
  data = load(folder, resize_labels=True)
  np.testing.assert_array_equal(
    np.asarray(Image.open(data.label_paths[4])), label
  )


@pytest.mark.parametrize('resize_labels', [False, True])
def test_a_label_that_lies_on_its_side_is_never_squashed(folder, resize_labels):
  label = np.asarray(Image.open(folder / 'labels/04.png'))
  Image.fromarray(label.T.copy()).save(folder / 'labels/04.png')
  refused(folder, 'labels/04.png', 'turned, cut', resize_labels=resize_labels)


def test_what_is_missing_is_named(folder):
  refused(
    folder,
    'config.data.source.root',
    'nowhere',
    root='nowhere',
    error=FileNotFoundError,
  )
  refused(
    folder,
    'config.data.source.images',
    'pictures/*.png',
    images='pictures/*.png',
    error=FileNotFoundError,
  )
  refused(
    folder,
    'config.data.source.files',
    'list.txt',
    files='list.txt',
    error=FileNotFoundError,
  )
  refused(folder, 'config.data.source.labels', labels='')
  (folder / 'labels/03.png').unlink()
  refused(folder, 'images/03.png', 'labels/*.png')


def test_wrong_records_are_refused(folder):
  refused(folder, 'label_map', '(0, 3)', label_map=((0, 3),))
  refused(folder, 'palette', palette=((0, 0, 0),))
  refused(folder, 'images', '*', images='images/**/*.png')
  refused(folder, 'config.data.source.imagse', 'images?', imagse='x')
  refused(folder, 'config.data.source.kind', 'folder', 'streets', kind='x')


def test_lists_of_names_choose_and_order(folder):
  (folder / 'train.txt').write_text('05\n01\n02\n')
  stems = lambda data: [pathlib.Path(p).stem for p in data.image_paths]
  assert stems(load(folder, files='train.txt')) == ['05', '01', '02']
  assert stems(load(folder, files='train.txt', skip_last=2)) == ['05']
  assert stems(load(folder, files=('0[1-2]', '05'))) == ['01', '02', '05']
  (folder / 'train.txt').write_text('05\n11\n')
  with pytest.raises(ValueError, match="1 of 2 .*'11'; names look like '00'"):
    load(folder, files='train.txt')
  with pytest.raises(ValueError, match='no image left of 6'):
    load(folder, skip_last=6)


def test_pairs_by_what_the_stars_stand_for(folder):
  for kind, ending in (('images', '_image.png'), ('labels', '_ids.png')):
    for number in range(6):
      city = folder / kind / ('ab'[number % 2] + 'town')
      city.mkdir(exist_ok=True)
      (folder / kind / f'{number:02d}.png').rename(
        city / f'{number // 2}{ending}'
      )
  data = load(
    folder, images='images/*/*_image.png', labels='labels/*/*_ids.png'
  )
  # Sorted by town: images 0, 2, 4 and then 1, 3, 5.
  assert data.class_pixels[:, 2].tolist() == [0, 2, 4, 1, 3, 5]


def test_two_runs_that_prepare_the_same_data(folder):
  row = manifest.Row('/a.png', '', 1, 2, np.zeros(1, np.int64))
  cache = folder.parent / 'cache'
  recipe = manifest.Recipe(
    'n n', ('c',), ((0, 0, 0),), 'x', lambda folder: [row]
  )

  def other_run_first(folder):
    prepared.prepare(recipe, cache)
    return [row]

  data = prepared.prepare(recipe._replace(rows=other_run_first), cache)
  assert data.image_paths == ('/a.png',)


def test_images_in_folders_that_are_not_entered_are_said(folder, caplog):
  for name in ('images/more', 'images/empty', 'images/.hidden'):
    (folder / name).mkdir()
  load(folder)
  assert 'not entered' not in caplog.text
  os.link(folder / 'images/00.png', folder / 'images/more/00.png')
  load(folder)
  assert "1 folder(s) with images below those of 'images/*.png'" in caplog.text
  assert 'images/more' in caplog.text
  # Labels in a folder beside images are expected there.
  caplog.clear()
  (folder / 'images/more/00.png').unlink()
  (folder / 'labels').rename(folder / 'images/labels')
  load(folder, labels='images/labels/*.png')
  assert 'not entered' not in caplog.text
