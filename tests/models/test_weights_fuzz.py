"""Mutated weight files: the right content or an error, and nothing else.

FUZZ=100000 tries 100,000 files instead of 1,000.
"""

import codecs
import itertools
import os
import pathlib
import signal
import sys
import time
import tracemalloc

import numpy as np
import pytest

from tests.models import pth_files as make
from tests.models import weights_oracle as oracle
from uda_jax.models import weights
from uda_jax.models.weights import safetensors

COUNT = int(os.environ.get('FUZZ', 1000))
# What longer runs have found: read, though malformed, or at too much memory.
FOUND = (22076, 30827, 89348, 98376)
# Seconds of the processor and bytes that one file of some 3 KB may take.
SECONDS, BYTES = 2.0, 1 << 20

RANDOM = np.random.default_rng(0)
FLAT = {
  str(i): RANDOM.normal(size=n).astype(dtype)
  for i, (n, dtype) in enumerate([(400, 'f4'), (5, 'i8'), (6, 'f2')])
}
CALL = make.call(make.name('os', 'system'), make.text('touch CANARY'))
# What mutations insert: calls, and instructions of every kind.
HOSTILE = (
  CALL,
  make.name('builtins', 'eval'),
  b'\x8c\x02os\x8c\x06system\x93',
  b'(X\x0c\x00\x00\x00touch CANARYios\nsystem\n',
  b'\x82\x01',
  b'}q\x01h\x01',
  b'X\xff\xff\xff\x7f',
  b'T\xff\xff\xff\x7f',
  b'\x8b\xff\xff\xff\x7f',
  b'r\xff\xff\xff\xff',
  b'(' * 50,
  b'.',
  b'R',
  b'b',
  b'h\x01' * 50,
  b'I' + b'9' * 5000 + b'\n',
  b'\x80\x05',
  b'\x85' * 500,
  b'Q',
)
NUMBERS = [
  n.to_bytes(size, 'little')
  for size in (4, 8)
  for n in (0, 1, 2**15, 2**31 - 1, 2**32 - 1)
] + [n.to_bytes(8, 'little') for n in (2**40, 2**63 - 1, 2**64 - 1)]


def _content(*more):
  def stored(key):
    return make.storage(FLAT[key], key, *more)

  state = make.mapping(
    {
      'conv.weight': make.tensor(stored('0'), (4, 10, 10)),
      'conv.view': make.tensor(stored('0'), (4, 3), (1, 4), 12),
      'count': make.tensor(stored('1'), (), offset=3),
      'half': make.tensor(stored('2'), (2, 3)),
    }
  )
  return make.mapping(
    {
      'state_dict': state,
      'epoch': make.integer(7),
      'lr': b'G' + bytes(8),
      'names': make.sequence([make.text('road')]),
    }
  )


def _safetensors(path):
  safetensors.write(
    path,
    {
      'conv.weight': FLAT['0'].reshape(4, 10, 10),
      'count': FLAT['1'][3],
      'half': FLAT['2'].reshape(2, 3),
      'none': np.zeros((0, 3)),
    },
  )


WRITERS = {
  'zip': lambda path: make.write_zip(path, _content(), FLAT),
  'legacy': lambda path: make.write_legacy(path, _content(b'N'), FLAT),
  'safetensors': _safetensors,
}
ORACLES = {
  'zip': oracle.read_zip,
  'legacy': oracle.read_legacy,
  'safetensors': oracle.read_safetensors,
}


def mutate(data, random):
  """Returns bytes with one to three changes of random kinds."""
  data = bytearray(data)
  for _ in range(random.choice([1, 1, 1, 2, 3])):
    at = int(random.integers(0, len(data) + 1))
    end = at + int(random.integers(1, 40))
    kind = random.integers(0, 9)
    if kind == 1:
      data[at:end] = b''
    elif kind == 2:
      data[at:at] = random.bytes(end - at)
    elif kind == 3:
      source = int(random.integers(0, len(data) + 1))
      data[at:at] = data[source : source + end - at]
    elif kind == 4:
      number = NUMBERS[random.integers(len(NUMBERS))]
      data[at : at + len(number)] = number
    elif kind == 5:
      data[at:at] = HOSTILE[random.integers(len(HOSTILE))]
    elif kind == 6:
      del data[at:]
    else:
      data[at : at + 1] = random.bytes(1)
  return bytes(data)


def mutate_inside(form, whole, random, path):
  """A mutated pickle or header in an archive that is sound around it."""
  if form == 'zip':
    pickled = make.PROTO + _content() + make.STOP
    make.write_zip(path, b'', FLAT, **{'data.pkl': mutate(pickled, random)})
    return path.read_bytes()
  length = int.from_bytes(whole[:8], 'little')
  header = mutate(whole[8 : 8 + length], random)
  return len(header).to_bytes(8, 'little') + header + whole[8 + length :]


class Hung(BaseException):
  """A read that takes too long; no error that a reader could catch."""


FORBIDDEN = (
  'os.',
  'subprocess.',
  'socket.',
  'shutil.',
  'exec',
  'compile',
  'import',
  'pickle.find_class',
  'ctypes.',
)
_watching = []


def _audit(event, args):
  if _watching and (
    event.startswith(FORBIDDEN)
    or event == 'open'
    and str(args[0]) != _watching[0]
  ):
    _watching.append((event, args))


@pytest.fixture
def watch(tmp_path):
  """Runs `weights.read` and returns all violations of its rules."""
  sys.addaudithook(_audit)

  def expire(*_):
    raise Hung

  def run(path):
    _watching[:] = [str(path)]
    start = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, 10 * SECONDS)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    try:
      found = {n: np.array(x) for n, x in weights.read(path).items()}
    except ValueError as error:
      assert str(path) in str(error)
      found = None
    finally:
      signal.setitimer(signal.ITIMER_VIRTUAL, 0)
      seen, _watching[:] = _watching[1:], []
    spent = (
      time.process_time() - start,
      tracemalloc.get_traced_memory()[1] - before,
    )
    run.most = tuple(map(max, run.most, spent))
    assert spent[0] < SECONDS and spent[1] < BYTES
    assert not seen
    return found

  run.most = (0.0, 0)
  old = signal.signal(signal.SIGVTALRM, expire)
  # What Python imports late, it has by now.
  for name in ('raw_unicode_escape', 'latin-1', 'ascii', 'cp437'):
    codecs.lookup(name)
  for write in WRITERS.values():
    write(tmp_path / 'warm')
    weights.read(tmp_path / 'warm')
  tracemalloc.start()
  yield run
  tracemalloc.stop()
  signal.signal(signal.SIGVTALRM, old)


def _same(found, expected):
  assert sorted(found) == sorted(expected)
  for name, x in expected.items():
    assert found[name].dtype == x.dtype and found[name].shape == x.shape
    assert found[name].tobytes() == x.tobytes()


@pytest.mark.filterwarnings('ignore:invalid escape sequence')
def test_mutated_files(tmp_path, watch, monkeypatch):
  monkeypatch.chdir(tmp_path)
  path = tmp_path / 'weights.bin'
  wholes = {}
  for form, write in WRITERS.items():
    write(path)
    wholes[form] = path.read_bytes()
    _same(watch(path), ORACLES[form](wholes[form]))
  tally, wrong = {}, []
  for i in itertools.chain(range(COUNT), FOUND):
    random = np.random.default_rng(i)
    form = sorted(WRITERS)[i % 3]
    inside = form != 'legacy' and i % 2 == 0
    data = (
      mutate_inside(form, wholes[form], random, path)
      if inside
      else mutate(wholes[form], random)
    )
    path.write_bytes(data)
    found = watch(path)
    tally[form, found is not None] = tally.get((form, found is not None), 0) + 1
    if found is None:
      continue
    assert sum(x.nbytes for x in found.values()) < 10 * len(data), i
    try:
      _same(found, ORACLES[form](data))
      if form == 'zip' and not inside:  # Checksums cover names and data.
        _same(found, ORACLES[form](wholes[form]))
    except Exception as error:  # Any error of the second reader.
      wrong.append(f'file {i} ({form}): {error!r}'[:200])
  seconds, size = watch.most
  print(tally, f'{seconds:.2f} s and {size} bytes at most')
  assert not wrong, '\n'.join(wrong[:20])
  assert not pathlib.Path('CANARY').exists()
  # Both ends are reached in every format.
  assert min(tally.values()) > COUNT // 200 and len(tally) == 6


def test_a_call_is_seen_by_the_watch(tmp_path, watch, monkeypatch):
  """The test above would fail if anything ran."""

  def careless(path):
    os.system(f'touch {tmp_path}/CANARY')
    return {}

  monkeypatch.setattr(weights, 'read', careless)
  with pytest.raises(AssertionError, match='os.system'):
    watch(tmp_path / 'a')
  assert (tmp_path / 'CANARY').exists()
