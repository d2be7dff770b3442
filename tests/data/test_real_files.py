"""Unusual input files: the right pixels and ids, or one clear line."""

import os
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf
import tifffile

from tests.data import test_folders
from tests.data import tiny_folder
from uda_jax.data import datasets
from uda_jax.data import file_tree
from uda_jax.data import image_files
from uda_jax.data import label_files
from uda_jax.data import manifest
from uda_jax.data import prepare
from uda_jax.data import transforms

load = test_folders.load
refused = test_folders.refused
FIELD = 'config.data.source'


@pytest.fixture(name='folder')
def _folder(tmp_path):
  return tiny_folder.write(tmp_path / 'data')


def as_trained(path):
  """The pixels that the pipeline of training reads."""
  return transforms.read_image(transforms.path_tensor(path)).numpy()


def pixels_of(size=(12, 16), seed=0):
  return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def save_turned(path, pixels, orientation, **options):
  """Stores pixels so that a viewer which obeys EXIF shows `pixels`."""
  stored = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, -1),
  }[orientation](pixels)
  exif = Image.Exif()
  exif[0x0112] = orientation
  Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)


@pytest.mark.parametrize('ending', ['png', 'tif', 'webp', 'jpg'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation(folder, orientation, ending):
  """Training, and all that reads images, sees a photo as a viewer does."""
  # Smooth, so that JPEG keeps it nearly.
  rows, columns = np.mgrid[:12, :16]
  pixels = np.stack([9 * rows, 9 * columns, 0 * rows], -1).astype(np.uint8)
  (folder / 'images/02.png').unlink()
  options = {'webp': {'lossless': True}, 'jpg': {'quality': 100}}
  save_turned(
    folder / f'images/02.{ending}',
    pixels,
    orientation,
    **options.get(ending, {}),
  )
  data = load(folder, images='images/*')
  assert (data.heights[2], data.widths[2]) == (12, 16)
  limit = 8 if ending == 'jpg' else 0
  for seen in (
    as_trained(data.image_paths[2]),
    image_files.read_image(folder / f'images/02.{ending}'),
  ):
    assert np.abs(seen.astype(int) - pixels).max() <= limit
  # The very same pixels in training and prediction.
  np.testing.assert_array_equal(
    as_trained(data.image_paths[2]),
    image_files.read_image(folder / f'images/02.{ending}'),
  )


def test_a_label_drawn_over_the_stored_photo(folder):
  save_turned(folder / 'images/02.png', pixels_of(), 6)
  label = Image.open(folder / 'labels/02.png')
  label.transpose(Image.Transpose.ROTATE_90).save(folder / 'labels/02.png')
  for resize_labels in (False, True):
    with pytest.raises(ValueError, match='EXIF orientation') as caught:
      load(folder, resize_labels=resize_labels)
    assert 'resize_labels' not in str(caught.value)


def test_orientation_of_labels(folder):
  expected = np.asarray(Image.open(folder / 'labels/02.png'))
  save_turned(folder / 'labels/02.png', expected, 8)
  data = load(folder)
  np.testing.assert_array_equal(
    np.asarray(Image.open(data.label_paths[2])), expected
  )


@pytest.mark.parametrize(
  'kind',
  ['RGB', 'RGBA', 'L', 'LA', 'P', '1', 'CMYK', 'YCbCr', 'progressive', '4bit'],
)
def test_one_decoder(folder, kind):
  """TensorFlow and the reader give the same pixels."""
  pixels = Image.fromarray(pixels_of((30, 41)))
  path = folder / 'images/00.png'
  if kind in ('CMYK', 'YCbCr', 'progressive'):
    path = folder / 'images/00.jpg'
    (folder / 'images/00.png').unlink()
    mode = 'RGB' if kind == 'progressive' else kind
    pixels.convert(mode).save(path, progressive=kind == 'progressive')
  elif kind == '4bit':
    path.write_bytes(test_folders.png(np.ones((12, 16), np.uint8), 4, 0))
  else:
    pixels.convert(kind).save(path)
  data = load(folder, labeled=False, images='images/*')
  assert data.image_paths[0] == str(path)
  np.testing.assert_array_equal(as_trained(path), image_files.read_image(path))


def test_sixteen_bits(folder):
  """Full range: the high byte, in grey and in color."""
  values = np.random.default_rng(0).integers(0, 1 << 16, (12, 16), np.uint16)
  Image.fromarray(values).save(folder / 'images/00.png')
  color = np.stack([values, values[::-1], values[:, ::-1]], -1)
  (folder / 'images/01.png').write_bytes(test_folders.png(color, 16, 2))
  (folder / 'images/02.png').unlink()
  Image.fromarray(values).save(folder / 'images/02.tiff')
  data = load(folder, images='images/*')
  for number, expected in ((0, values[..., None]), (1, color)):
    expected = np.broadcast_to(expected >> 8, (12, 16, 3))
    seen = as_trained(data.image_paths[number])
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(
      image_files.read_image(folder / f'images/{number:02d}.png'), expected
    )
  np.testing.assert_array_equal(
    as_trained(data.image_paths[2]), as_trained(data.image_paths[0])
  )


@pytest.mark.parametrize(
  'values, guess',
  [
    (np.arange(192, dtype=np.uint16).reshape(12, 16) * 21, '(0, 4095)'),
    (np.arange(192, dtype=np.int32).reshape(12, 16) * 500, '(0, 131071)'),
    (np.linspace(0, 1, 192, dtype=np.float32).reshape(12, 16), '(0.0, 1.0)'),
    (np.linspace(0, 9.5, 192, dtype=np.float32).reshape(12, 16), '(0.0, 10.0)'),
  ],
)
def test_values_without_a_range(folder, values, guess):
  """12 bits in 16, 32 bits and floats are refused, or scaled as configured."""
  for path in (folder / 'images').iterdir():
    path.unlink()
  for number in range(6):
    Image.fromarray(values).save(folder / f'images/{number:02d}.tif')
  refused(folder, f'set {FIELD}.value_range to (LOW', guess, images='images/*')
  with pytest.raises(ValueError, match='set value_range to .LOW') as caught:
    image_files.read_image(folder / 'images/00.tif')
  assert guess in str(caught.value)
  high = float(values.max())
  data = load(folder, images='images/*', value_range=(0.0, high))
  expected = np.floor(values.astype(float) * 255 / high + 0.5)
  seen = as_trained(data.image_paths[0])
  np.testing.assert_array_equal(seen[..., 1], expected)
  np.testing.assert_array_equal(
    seen,
    image_files.read_image(folder / 'images/00.tif', value_range=(0.0, high)),
  )
  assert not data.notes
  data = load(folder, images='images/*', value_range=(0.0, high / 2))
  assert '% of the samples are outside' in data.notes[0]


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('channels', [1, 3])
def test_images_whose_white_is_zero_are_no_negatives(tmp_path, bits, channels):
  values = np.arange(192).reshape(12, 16)
  path = tmp_path / 'a.tif'
  tifffile.imwrite(
    path,
    (values << bits - 8).astype(f'uint{bits}'),
    photometric='miniswhite',
  )
  np.testing.assert_array_equal(
    image_files.read_image(path, channels=channels)[..., -1], 255 - values
  )


def test_black_images_need_no_range(folder):
  Image.fromarray(np.zeros((12, 16), np.uint16)).save(folder / 'images/00.png')
  assert as_trained(load(folder).image_paths[0]).max() == 0


@pytest.mark.parametrize('ending', ['gif', 'webp', 'tif', 'png'])
def test_several_frames(folder, ending):
  path = folder / f'images/00.{ending}'
  (folder / 'images/00.png').unlink()
  frames = [Image.fromarray(pixels_of(seed=n)) for n in range(3)]
  frames[0].save(path, save_all=True, append_images=frames[1:])
  refused(folder, f'00.{ending}', '3 frames', images='images/*')
  with pytest.raises(ValueError, match='3 frames'):
    image_files.read_image(path)


def test_phone_pictures_have_a_second_image(folder):
  frames = [Image.fromarray(pixels_of(seed=n)) for n in range(2)]
  (folder / 'images/00.png').unlink()
  path = folder / 'images/00.jpg'
  frames[0].save(path, format='MPO', save_all=True, append_images=frames[1:])
  data = load(folder, images='images/*')
  np.testing.assert_array_equal(
    as_trained(data.image_paths[0]), image_files.read_image(path)
  )


@pytest.mark.parametrize('kind', ['images', 'labels'])
@pytest.mark.parametrize(
  'content, words',
  [
    (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', 'lfs pull'),
    (b'\n<!DOCTYPE html><html><body>404</body></html>', 'a web page'),
    (b'<html>', 'a web page'),
    (b'%PDF-1.4', 'another kind'),
  ],
)
def test_files_that_are_no_images(folder, kind, content, words):
  (folder / kind / '03.png').write_bytes(content)
  refused(folder, f'{kind}/03.png', words)


def test_huge_images(folder):
  """Named as such, not as damaged."""
  header = struct.pack('>IIBBBBB', 20000, 9000, 8, 0, 0, 0, 0)
  small = test_folders.png(np.zeros((1, 1), np.uint8), 1, 0)
  start = small.index(b'IHDR')
  crc = struct.pack('>I', zlib.crc32(b'IHDR' + header))
  path = folder / 'images/00.png'
  path.write_bytes(
    small[: start + 4] + header + crc + small[start + 4 + 13 + 4 :]
  )
  refused(folder, '00.png', 'at most 178 megapixels')
  with pytest.raises(ValueError, match='178 megapixels'):
    image_files.read_image(path)


@pytest.mark.parametrize(
  'content, words',
  [
    (b'\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'HEIC photo'),
    (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'another kind'),
    (b'PK\3\4', 'another kind'),
  ],
)
def test_photos_and_documents_of_other_kinds(tmp_path, content, words):
  path = tmp_path / 'a.jpg'
  path.write_bytes(content)
  with pytest.raises(ValueError, match=words):
    image_files.read_image(path)


@pytest.mark.parametrize(
  'kind',
  [
    *('trns', 'trns bytes', 'gray trns', '16 bit', '16 bit trns', 'gif'),
    *(
      'white is zero',
      'wide white is zero',
      'int8',
      'int16',
      'int32',
      'big endian',
      'bigtiff',
    ),
  ],
)
def test_ids_as_stored(tmp_path, kind):
  """In every file that holds exact ids."""
  label = np.arange(192, dtype=np.uint8).reshape(12, 16) % 3
  gray, color = Image.fromarray(label), Image.fromarray(label, mode='P')
  color.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
  wide = Image.fromarray(label.astype(np.uint16))
  path = tmp_path / 'label'
  tiff = lambda values, **options: tifffile.imwrite(path, values, **options)
  save = {
    'trns': lambda: color.save(path, 'PNG', transparency=0),
    'trns bytes': lambda: color.save(path, 'PNG', transparency=b'\0\x80\xff'),
    'gray trns': lambda: gray.save(path, 'PNG', transparency=0),
    '16 bit': lambda: wide.save(path, 'PNG'),
    '16 bit trns': lambda: wide.save(path, 'PNG', transparency=0),
    'gif': lambda: color.save(path, 'GIF'),
    'white is zero': lambda: tiff(label, photometric='miniswhite'),
    'wide white is zero': lambda: tiff(
      label.astype(np.uint16), photometric='miniswhite'
    ),
    'int8': lambda: tiff(label.astype(np.int8)),
    'int16': lambda: tiff(label.astype(np.int16)),
    'int32': lambda: tiff(label.astype(np.int32)),
    'big endian': lambda: tiff(label.astype('>u2'), byteorder='>'),
    'bigtiff': lambda: tiff(label, bigtiff=True),
  }
  save[kind]()
  np.testing.assert_array_equal(label_files.read_label(path), label)


@pytest.mark.parametrize(
  'kind, words',
  [
    ('jpeg', 'got JPEG'),
    ('tiff', 'got TIFF with JPEG'),
    ('jpeg2000', 'got JPEG2000'),
    ('webp', 'got lossy WebP'),
    ('webp with alpha', 'got lossy WebP'),
    ('pgm', 'largest value 255 or 65535 in its header, got 3'),
    ('float', "type 'F'"),
    ('la', '2 channels'),
    ('empty', 'an empty file'),
  ],
)
def test_labels_that_are_not_exact(tmp_path, kind, words):
  label = np.arange(192, dtype=np.uint8).reshape(12, 16) % 3
  gray, path = Image.fromarray(label), tmp_path / 'label.png'
  clear = gray.convert('RGBA')
  clear.putalpha(gray)
  save = {
    'jpeg': lambda: gray.save(path, 'JPEG'),
    'tiff': lambda: gray.save(path, 'TIFF', compression='jpeg'),
    'jpeg2000': lambda: gray.save(path, 'JPEG2000'),
    'webp': lambda: gray.save(path, 'WEBP'),
    # In a container of several chunks.
    'webp with alpha': lambda: clear.save(path, 'WEBP'),
    'pgm': lambda: path.write_bytes(b'P5\n# c\n16 12\n3\n' + label.tobytes()),
    'float': lambda: tifffile.imwrite(path, label.astype(np.float32)),
    'la': lambda: gray.convert('LA').save(path),
    'empty': lambda: path.write_bytes(b''),
  }
  save[kind]()
  with pytest.raises(ValueError) as caught:
    label_files.read_label(path, channel=0 if 'webp' in kind else -1)
  assert str(caught.value).startswith(f'{path}: expected')
  assert words in str(caught.value)


@pytest.mark.parametrize('bits', [1, 2, 4])
def test_grey_labels_of_few_bits(tmp_path, bits):
  """Ids as they are, in PNG and TIFF, for evaluation and `prepare` alike."""
  label = np.arange(64).reshape(8, 8) % 2**bits
  samples = np.unpackbits(label.astype(np.uint8)[..., None], axis=-1, count=8)[
    ..., 8 - bits :
  ]
  packed = np.packbits(samples.reshape(8, -1), axis=-1)
  path = tmp_path / 'label.tif'
  strip = packed.tobytes()
  tags = [
    (256, 3, 1, 8),
    (257, 3, 1, 8),
    (258, 3, 1, bits),
    (259, 3, 1, 1),
    (262, 3, 1, 1),
    (273, 4, 1, 8),
    (277, 3, 1, 1),
    (278, 3, 1, 8),
    (279, 4, 1, len(strip)),
  ]
  path.write_bytes(
    struct.pack('<2sHI', b'II', 42, 8 + len(strip))
    + strip
    + struct.pack('<H', len(tags))
    + b''.join(struct.pack('<HHII', *tag) for tag in tags)
    + b'\0' * 4
  )
  np.testing.assert_array_equal(label_files.read_label(path), label)
  if bits < 4:
    return
  path = tmp_path / 'label.png'
  path.write_bytes(test_folders.png(label % 2, 4, 0))
  np.testing.assert_array_equal(label_files.read_label(path), label % 2)


def test_palettes_that_differ(folder):
  for number, colors in enumerate(([0, 0, 0, 200, 0, 0], [0, 0, 0, 0, 200, 0])):
    image = Image.fromarray(np.eye(12, 16, dtype=np.uint8), mode='P')
    image.putpalette(colors)
    image.save(folder / f'labels/{number:02d}.png')
  refused(
    folder, '00.png', '01.png', 'id 1 is (200, 0, 0)', f'{FIELD}.label_colors'
  )
  # The same palette, and ids that a file does not use, are no matter.
  image.putpalette([0, 0, 0, 200, 0, 0, 9, 9, 9])
  image.save(folder / 'labels/01.png')
  assert load(folder).labeled


@pytest.mark.parametrize('pattern', ['images/*', 'images/*.jpg', 'images/*.*'])
def test_endings(folder, pattern):
  """Any case and spelling."""
  for number, ending in enumerate(('jpg', 'JPG', 'jpeg', 'JPEG', 'Jpg', 'jpg')):
    Image.open(folder / f'images/{number:02d}.png').save(
      folder / f'images/{number:02d}.{ending}', format='JPEG'
    )
    (folder / f'images/{number:02d}.png').unlink()
  data = load(folder, images=pattern, labels='labels/*')
  assert [pathlib.Path(p).stem for p in data.image_paths] == [
    f'{n:02d}' for n in range(6)
  ]


def test_what_is_not_used_is_said(folder, caplog):
  (folder / 'images/._00.png').write_bytes(b'\0\5\x16\7')
  (folder / 'images/.DS_Store').write_bytes(b'x')
  (folder / 'images/Thumbs.db').write_bytes(b'x')
  (folder / 'images/05.png').write_bytes(b'')
  Image.fromarray(pixels_of()).save(folder / 'images/07.bmp')
  assert len(load(folder).image_paths) == 5
  for words in (
    f'{FIELD}: images: 3 hidden or system and 1 empty',
    '1 image file(s) of other endings are not used, such as 07.bmp',
    '1 label file(s) without an image, such as 05.png',
  ):
    assert words in caplog.text


def test_images_without_a_label_are_one_line(folder):
  for number in (2, 3, 4):
    (folder / f'labels/{number:02d}.png').unlink()
  refused(folder, 'images/02.png', 'no label', 'and 2 more', f'{FIELD}.files')


@pytest.mark.parametrize('other', ['00.jpg', '00.PNG'])
def test_two_images_of_one_name(folder, other):
  Image.fromarray(pixels_of()).save(folder / 'images' / other)
  refused(folder, 'images/00.png', f'images/{other}', images='images/*')


def test_both_forms_of_a_name(folder):
  for name in ('\u00e4', 'a\u0308'):
    Image.fromarray(pixels_of()).save(folder / f'images/{name}.png')
  refused(folder, 'in two Unicode forms of one name', labeled=False)


NAMES = (
  'a\nb',
  'a"b',
  ' a',
  'a\t',
  '٣',
  'ä',
  'a\u0308',
  '図',
  'street[1]',
  'a b',
  'x?',
  "q'",
  '²',
)


@pytest.mark.parametrize('name', NAMES)
def test_names(folder, name):
  for kind in ('images', 'labels'):
    (folder / kind / '00.png').rename(folder / kind / f'{name}.png')
  data = load(folder)
  assert len(data.image_paths) == 6
  for path, label in zip(data.image_paths, data.label_paths):
    assert as_trained(path).shape == (12, 16, 3) and os.path.exists(label)


def test_names_in_two_normal_forms(folder):
  """MacOS writes an accent as a letter of its own."""
  (folder / 'images/00.png').rename(folder / 'images/a\u0308.png')
  (folder / 'labels/00.png').rename(folder / 'labels/\u00e4.png')
  assert len(load(folder).image_paths) == 6
  (folder / 'list.txt').write_text('\u00e4\n')
  assert len(load(folder, files='list.txt').image_paths) == 1


def test_names_that_are_not_utf8(folder):
  name = os.fsdecode(b'caf\xe9')
  for kind in ('images', 'labels'):
    (folder / kind / '00.png').rename(folder / kind / f'{name}.png')
  for _ in range(2):
    data = load(folder)
    assert sum(p.endswith(f'{name}.png') for p in data.image_paths) == 1
    for path in data.image_paths:
      assert as_trained(path).shape == (12, 16, 3)
  (folder / f'images/{name}.png').write_bytes(b'no image')
  config = tiny_folder.data(
    source=tiny_folder.record(),
    target=None,
    evaluation=None,
    root=str(folder),
    cache_dir=str(folder.parent / 'cache'),
  )
  config = tiny_folder.ml_collections.ConfigDict({'data': config})
  assert prepare.run(config, ['source']) == ['source']


@pytest.mark.parametrize(
  'kept, pattern',
  [('images [v2]', 'images [v2]/*.png'), ('a?b', 'a?b/*'), ('*x', '*x/*.png')],
)
def test_special_letters_in_folders(folder, kept, pattern):
  (folder / 'images').rename(folder / kept)
  labels = '*abels/*.png' if '*' in kept else 'labels/*.png'
  if '*' in kept:
    (folder / 'labels').rename(folder / '*abels')
  data = load(folder, images=pattern, labels=labels)
  assert len(data.image_paths) == 6


def test_only_a_star_is_special(folder):
  refused(
    folder,
    'only * is special',
    images='images/?0*.png',
    error=FileNotFoundError,
  )


def test_linked_folders(folder):
  """Followed, in patterns and in trees; a circle ends."""
  (folder / 'far').mkdir()
  for kind in ('images', 'labels'):
    (folder / kind).rename(folder / 'far' / kind)
    (folder / kind).mkdir()
    (folder / kind / 'seq').symlink_to(folder / 'far' / kind)
  (folder / 'far/images/loop').symlink_to(folder / 'far')
  data = load(folder, images='images/*/*.png', labels='labels/*/*.png')
  assert len(data.image_paths) == 6
  found = file_tree.find(folder / 'images').files
  assert len(found) == len(set(found)) and folder / 'images/seq/00.png' in found


def test_links_to_themselves(folder):
  (folder / 'images/loop').symlink_to('loop')
  (folder / 'images/loop.png').symlink_to('loop.png')
  found = file_tree.find(folder / 'images')
  assert len(found.files) == 6 and found.empty == 1
  assert len(load(folder).image_paths) == 6


def test_home(folder, monkeypatch):
  monkeypatch.setenv('HOME', str(folder.parent))
  for how in (
    dict(root='~/data', images='images/*', labels='labels/*'),
    dict(root='', images='~/data/images/*', labels='~/data/labels/*.png'),
    dict(root='', images=f'{folder}/images/*', labels=f'{folder}/labels/*'),
  ):
    data = datasets.load(
      tiny_folder.record(**how),
      root='',
      cache_dir='~/cache',
      field=FIELD,
      labels=True,
    )
    assert len(data.image_paths) == 6
  assert not pathlib.Path('~').exists()
  assert (folder.parent / 'cache/prepared').exists()


def _write_labels(folder, value):
  for path in (folder / 'labels').iterdir():
    label = np.zeros((12, 16), np.uint8)
    label[3:7] = value
    Image.fromarray(label).save(path)


def test_masks_of_0_and_255(folder):
  _write_labels(folder, 255)
  binary = dict(class_names=('background', 'car'))
  refused(
    folder,
    '255 is ignored',
    f'{FIELD}.label_map=((0, 0), (255, 1))',
    **binary,
  )
  data = load(folder, label_map=((0, 0), (255, 1)), **binary)
  assert data.class_pixels.sum(0).tolist() == [6 * 128, 6 * 64]


def test_labels_that_are_all_ignored(folder):
  for path in (folder / 'labels').iterdir():
    Image.fromarray(np.full((12, 16), 255, np.uint8)).save(path)
  refused(folder, 'every pixel of the labels is 255')


def test_unknown_ids_are_one_line_with_a_map(folder):
  _write_labels(folder, 7)
  with pytest.raises(manifest.Broken) as caught:
    load(folder)
  assert len(caught.value.problems) == 6
  (line,) = caught.value.summary
  assert 'and 5 more label file(s)' in line and 'got 7 in 384 pixels' in line
  pasted = line.partition('label_map=')[2].partition(', or')[0]
  assert (7, 255) in eval(pasted)
  assert load(folder, label_map=eval(pasted)).labeled


def test_unknown_colors_are_one_line_with_a_map(folder):
  for path in (folder / 'labels').iterdir():
    pixels = np.zeros((12, 16, 3), np.uint8)
    pixels[:4] = 9, 8, 7
    Image.fromarray(pixels).save(path)
  refused(folder, f'{FIELD}.label_colors=(((0, 0, 0), 0), ((9, 8, 7), 1),)')
  with pytest.raises(manifest.Broken) as caught:
    load(folder, label_colors=(((0, 0, 0), 0),))
  (line,) = caught.value.summary
  assert '((9, 8, 7), 255)' in line and 'in 384 pixels' in line
  assert load(
    folder, label_colors=eval(line.partition('label_colors=')[2])
  ).labeled


def test_masks_with_soft_edges(folder):
  for path in (folder / 'labels').iterdir():
    label = np.arange(192, dtype=np.uint8).reshape(12, 16)
    Image.fromarray(label).save(path)
  refused(folder, 'a mask that was resized or saved as JPEG')


@pytest.mark.parametrize(
  'fields, words',
  [
    (dict(class_names=('road', 'sky', 'road')), "'road' twice"),
    (dict(class_names=('road',)), 'with one class every pixel is right'),
    (dict(class_names='road'), 'got the text'),
    (dict(class_names=('road', '')), 'different names'),
    (dict(class_names=('road', 'a\nb')), 'different names of one line'),
    (dict(class_names=('road,sky',)), "in quotes: ('road', 'sky')"),
    (dict(label_map=(0, 1)), 'label_map: expected rows'),
    (dict(label_map=((0, 0), (0, 1))), 'got 0 in several rows'),
    (dict(label_colors=((0, 0),)), 'label_colors: expected rows'),
    (dict(value_range=(1, 0)), 'value_range: expected'),
    (dict(value_range=4095), 'value_range: expected'),
  ],
)
def test_class_lists(folder, fields, words):
  refused(folder, FIELD, words, **fields)


def _cut(path):
  path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize(
  'harm',
  [
    lambda cache: [p.unlink() for p in cache.glob('files/*/*.png')],
    lambda cache: _cut(sorted(cache.glob('files/*/*.png'))[0]),
    lambda cache: [p.unlink() for p in cache.glob('files/*/*')],
    lambda cache: [p.unlink() for p in cache.rglob('dataset_info.json')],
    lambda cache: [p.unlink() for p in cache.rglob('*.tfrecord*')],
    lambda cache: [_cut(p) for p in cache.rglob('*.tfrecord*')],
    lambda cache: [p.write_text('') for p in cache.rglob('features.json')],
  ],
)
def test_a_purged_cache_heals(folder, harm, caplog):
  first = load(folder)
  contents = [pathlib.Path(p).read_bytes() for p in first.label_paths]
  harm(folder.parent / 'cache')
  again = load(folder)
  assert 'preparing what is missing again' in caplog.text
  assert again.label_paths == first.label_paths
  assert [pathlib.Path(p).read_bytes() for p in again.label_paths] == contents
  caplog.clear()
  assert load(folder).label_paths == first.label_paths
  assert 'again' not in caplog.text


def test_a_changed_file_is_noticed(folder):
  """The new file has the same size and the same second."""
  path = folder / 'labels/00.png'
  before, stat = load(folder), path.stat()
  path.write_bytes((folder / 'labels/00.png').read_bytes())
  os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
  assert load(folder).label_paths[0] != before.label_paths[0]
  assert load(folder).label_paths[1:] == before.label_paths[1:]


def test_pixels_reach_training_by_bytes():
  """File names are bytes; TensorFlow takes them as they are."""
  name = os.fsdecode(b'/x/caf\xe9')
  assert transforms.path_tensor(name).numpy() == b'/x/caf\xe9'
  assert transforms.path_tensor([name]).dtype == tf.string
