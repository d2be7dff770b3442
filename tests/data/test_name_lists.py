"""Lists of images: forms of names, GTA5's split, one-line errors."""

import pathlib

import numpy as np
import pytest
from scipy import io

from tests.data import tiny_folder
from uda_jax.data import listing
from uda_jax.data import name_lists


def images(*names):
  return {
    name: listing.File(pathlib.Path(f'/data/images/{name}.png'), 1, 1)
    for name in names
  }


@pytest.mark.parametrize(
  'line',
  ['00012', '12', '012', '00012.png', 'images/00012.PNG', r'images\12.jpg'],
)
def test_forms_of_a_name(line):
  found = name_lists.resolve([line, '00007'], images('00007', '00012'))
  assert found == ['00012', '00007']


def test_a_file_name_of_which_the_name_is_a_part():
  path = pathlib.Path('/c/aachen/aachen_000001_000019_leftImg8bit.png')
  found = {'aachen/aachen_000001_000019': listing.File(path, 1, 1)}
  for line in (
    'aachen/aachen_000001_000019',
    'leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png',
    'aachen_000001_000019',
  ):
    assert name_lists.resolve([line], found) == list(found)


@pytest.mark.parametrize(
  'lines, names, message',
  [
    (['3', '00007', '4', '5', '6'], ['00007'], "4 of 5 .*'3', '4', '5'; names"),
    (['7'], ['007', '0007'], "'7', which is several images: '0007', '007'"),
    (['7'], ['a/7', 'b/7'], "'7', which is several images: 'a/7', 'b/7'"),
    (['7', '007'], ['007'], "the same name twice: '007'"),
    # A list of another split, whose files have the same names.
    (['b/7.png'], ['a/7', 'c/8'], "1 of 1 .*'b/7.png'; names look like 'a/7'"),
    (['/x/b/left/7'], ['a/left/7', 'c/left/7'], "1 of 1 .*'/x/b/left/7'"),
    (['images/x7.png'], ['7'], "'images/x7.png'; names look like '7'"),
  ],
)
def test_names_that_do_not_fit(lines, names, message):
  with pytest.raises(ValueError, match=message) as error:
    name_lists.resolve(lines, images(*names))
  assert '\n' not in str(error.value)


def test_folders_in_a_line_choose_among_files_of_one_name():
  names = ('a/left/7', 'b/left/7', 'b/left/8')
  lines = ['/elsewhere/b/left/7.jpg', r'images\a\left\7.png', 'left/8']
  assert name_lists.resolve(lines, images(*names)) == [
    'b/left/7',
    'a/left/7',
    'b/left/8',
  ]


def test_an_exact_name_is_never_ambiguous():
  assert name_lists.resolve(['7'], images('7', '07')) == ['7']


def load(folder, **fields):
  return tiny_folder.load(
    folder, **{'name': 'GTA5', 'files': 'train.txt', **fields}
  )


def stems(data):
  return [pathlib.Path(path).stem for path in data.image_paths]


def test_the_split_of_gta5(tmp_path):
  folder = tiny_folder.write(tmp_path / 'data')
  with pytest.raises(
    FileNotFoundError, match=r'train.txt nor split\.mat; GTA5'
  ):
    load(folder)
  split = folder / 'split.mat'
  part = lambda *numbers: np.array(numbers, np.uint16)[:, None]
  numbers = dict(trainIds=part(5, 1), valIds=part(2), testIds=part(3, 4))
  io.savemat(split, numbers)
  assert stems(load(folder)) == ['05', '01']
  assert stems(load(folder, files='val.txt')) == ['02']
  assert stems(load(folder, files='test.txt')) == ['03', '04']
  assert not (folder / 'train.txt').exists()
  io.savemat(split, numbers | {'trainIds': part(5, 9)})
  with pytest.raises(ValueError, match=r"in .*split\.mat, got 1 of 2 .*'9'"):
    load(folder)
  (folder / 'train.txt').write_text('4\n')
  assert stems(load(folder)) == ['04']


def test_a_damaged_split_is_one_line(tmp_path):
  path = tmp_path / 'split.mat'
  io.savemat(path, {'valIds': np.array([1.5]), 'testIds': np.array([0])})
  good = path.read_bytes()
  for key in ('trainIds', 'valIds', 'testIds'):
    with pytest.raises(ValueError, match=rf"split\.mat: expected .*'{key}'"):
      name_lists.read_split(path, key)
  for bad in (b'', b'not MATLAB', good[:200], good[:100] + b'\xff' * 60):
    path.write_bytes(bad)
    with pytest.raises(ValueError, match='download it again') as error:
      name_lists.read_split(path, 'valIds')
    assert '\n' not in str(error.value)


def test_a_list_and_patterns_are_not_mixed_up(tmp_path):
  folder = tiny_folder.write(tmp_path / 'data')
  with pytest.raises(ValueError, match='the path of a list is a text, not a'):
    load(folder, files=('train.txt',))
  with pytest.raises(FileNotFoundError, match=r"a tuple: \('0\*',\)"):
    load(folder, files='0*')
  assert stems(load(folder, files=('*1', '05'))) == ['01', '05']


def test_brackets_in_names_are_written_as_of_a_shell(tmp_path):
  folder = tiny_folder.write(tmp_path / 'data')
  for kind in ('images', 'labels'):
    (folder / kind / '00.png').rename(folder / kind / 's[1]_0.png')
    (folder / kind / '01.png').rename(folder / kind / 's1_0.png')
  with pytest.raises(ValueError, match=r"\.files: expected \[\[\].*'s\[1\]_0'"):
    load(folder, files=('s[1]_*',))
  assert stems(load(folder, files=('s[[]1]_*',))) == ['s[1]_0']
  assert stems(load(folder, files=('s[1]_0',))) == ['s[1]_0']
  assert stems(load(folder, files=('0[2-3]',))) == ['02', '03']
