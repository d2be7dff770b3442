"""Pairs of images and labels by the names of files."""

import pathlib

import pytest

from uda_jax.adapt import pairs as pairs_lib

FLAGS = ('--source', '--source_labels')


def write(folder, *names):
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'x')
  return folder


def pair(folder, images='images', labels='labels'):
  sides = [
    pairs_lib.find(str(folder / part), flag)
    for part, flag in zip((images, labels), FLAGS)
  ]
  return pairs_lib.pair(*sides, FLAGS)


def files(found):
  """(image, label) of all pairs, by their file names."""
  return [tuple(path.name for path in found.files(n)) for n in found.names]


def test_equal_names_of_mixed_endings(tmp_path):
  write(tmp_path / 'images', '1.jpg', '2.JPG', '3.jpeg', '4.webp', '._5.jpg')
  write(tmp_path / 'labels', '1.png', '2.PNG', '4.png', '9.png', 'notes.txt')
  found = pair(tmp_path)
  assert files(found) == [
    ('1.jpg', '1.png'),
    ('2.JPG', '2.PNG'),
    ('4.webp', '4.png'),
  ]
  assert found.images.pattern == f'{tmp_path}/images/*'
  assert '1 hidden' in found.images.passed_over
  assert found.images.folder == tmp_path / 'images'


@pytest.mark.parametrize(
  'images, labels, patterns',
  [
    (('a1.jpg', 'a2.jpg'), ('a1_L.png', 'a2_L.png'), ('*', '*_L.png')),
    (
      ('a_1_rgb.jpg', 'a_2_rgb.jpg'),
      ('a_1_id.png', 'a_2_id.png'),
      ('*_rgb.jpg', '*_id.png'),
    ),
    (
      ('rgb_1.jpg', 'rgb_2.jpg'),
      ('mask_1.png', 'mask_2.png'),
      ('rgb_*', 'mask_*'),
    ),
    (('1.jpg', '2.jpg'), ('1.seg.png', '2.seg.png'), ('*', '*.seg.png')),
  ],
)
def test_names_with_a_beginning_or_an_end(tmp_path, images, labels, patterns):
  write(tmp_path / 'images', *images)
  write(tmp_path / 'labels', *labels)
  found = pair(tmp_path)
  assert files(found) == list(zip(images, labels))
  ends = [
    pathlib.Path(side.pattern).name for side in (found.images, found.labels)
  ]
  assert tuple(ends) == patterns


def test_folders_below(tmp_path):
  names = [f'{town}/{town}_{n}' for town in ('aachen', 'ulm') for n in range(3)]
  write(tmp_path / 'images', *(f'{name}_leftImg8bit.png' for name in names))
  labels = [f'{name}_gtFine_labelIds.png' for name in names]
  write(tmp_path / 'labels', *labels)
  found = pair(tmp_path)
  assert len(found.names) == 6 and found.names[0] == 'aachen/aachen_0'
  assert found.images.pattern.endswith('/images/*/*_leftImg8bit.png')
  assert found.labels.pattern.endswith('/labels/*/*_gtFine_labelIds.png')


def test_several_labels_of_an_image_are_not_guessed(tmp_path):
  names = [f't_{n}' for n in range(4)]
  write(tmp_path / 'images', *(f'{name}_rgb.png' for name in names))
  write(tmp_path / 'labels', *(f'{name}_ids.png' for name in names))
  write(tmp_path / 'labels', *(f'{name}_color.png' for name in names))
  with pytest.raises(ValueError, match=r'\*_color, \*_ids') as error:
    pair(tmp_path)
  assert '\n' not in str(error.value)
  found = pair(tmp_path, 'images/*_rgb.png', 'labels/*_ids.png')
  assert files(found)[0] == ('t_0_rgb.png', 't_0_ids.png')


@pytest.mark.parametrize(
  'images, labels, message',
  [
    (['a.jpg'], ['b.png'], 'images such as a.jpg and labels such as b.png'),
    (['a.jpg', 'x/b.jpg'], ['a.png'], 'equally deep .* such as x/b.jpg'),
    ([], ['a.png'], '--source: expected a folder, .* found nothing at'),
    (['a.txt'], ['a.png'], '--source: found no image in'),
    (['a.jpg', 'a.png'], ['a.png'], "expected one file named 'a'"),
  ],
)
def test_bad_folders_are_one_line(tmp_path, images, labels, message):
  write(tmp_path / 'images', *images)
  write(tmp_path / 'labels', *labels)
  with pytest.raises((ValueError, OSError), match=message) as error:
    pair(tmp_path)
  assert '\n' not in str(error.value)


def test_a_file_is_no_folder(tmp_path):
  write(tmp_path, 'a.jpg')
  with pytest.raises(FileNotFoundError, match='found a file at'):
    pairs_lib.find(str(tmp_path / 'a.jpg'), '--target')
