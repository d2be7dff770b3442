"""All processes and devices take part, and find what one device finds."""

import json
import socket

import pytest

from tests import forked
from tests import shares
from uda_jax.data import datasets
from uda_jax.data import folder_rows
from uda_jax.data import prepared

PARTS = (
  'scores',
  'label-free',
  'ranking',
  'patches',
  'round',
  'pixels',
  'data',
  'labels',
)


@pytest.fixture(scope='module')
def both(tmp_path_factory):
  """Results of one device, and of two processes with two devices each."""
  folder = tmp_path_factory.mktemp('shares')
  shares.write_images(folder / 'mixed')
  with socket.socket() as free:
    free.bind(('localhost', 0))
    address = f'localhost:{free.getsockname()[1]}'
  processes = [
    forked.Forked(shares.main, address, i, folder, devices=2) for i in range(2)
  ]
  one = shares.results(folder / 'mixed', folder / 'one', 1)
  outputs = [process.communicate() for process in processes]
  assert [p.returncode for p in processes] == [0, 0], outputs
  found = [
    json.loads(line)
    for out in outputs
    for line in out.splitlines()
    if line.startswith('{"scores"')
  ]
  return json.loads(json.dumps(one)), found


@pytest.mark.parametrize('part', PARTS)
def test_the_same_bits_on_one_device_and_on_four(both, part):
  one, (first, second) = both
  assert first[part] == second[part] == one[part]


def test_the_work_is_divided(both):
  one, found = both
  # Three images of one size and two of the other, on four devices.
  assert one['points'] == 5
  assert [process['points'] for process in found] == [2, 2]
  assert len(one['patches']) == 2 * 4 * 5
  assert len(set(one['patches'])) > 4 * 5


def test_files_of_a_share_are_found_done(tmp_path, monkeypatch):
  done = []
  prepare = folder_rows._prepare

  def count(*args):
    done.append(args[1].name)
    return prepare(*args)

  monkeypatch.setattr(folder_rows, '_prepare', count)
  shares.write_images(tmp_path / 'mixed')
  leaf = shares.config(tmp_path / 'mixed', tmp_path, 1)
  # A file that cannot be used is reported by the whole alone.
  (tmp_path / 'mixed' / 'images' / '3.png').write_bytes(b'broken')
  recipe = datasets.recipes_of_part(leaf.data, 'evaluation')[0]
  for share in range(2):
    prepared.prepare_share(recipe, tmp_path / 'data', share, 2)
  assert sorted(done) == [str(i) for i in range(7)]
  done.clear()
  with pytest.raises(ValueError, match=r'images/3\.png'):
    prepared.prepare(recipe, tmp_path / 'data')
  assert done == ['3']
