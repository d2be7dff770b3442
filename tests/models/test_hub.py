"""Weights of the hub: fetched, cached, compared with their hash."""

import hashlib
import json
import sys

from huggingface_hub import constants
import numpy as np
import pytest

from tests import hub_server
from uda_jax.models import weights
from uda_jax.models.weights import hub
from uda_jax.models.weights import parts
from uda_jax.models.weights import safetensors

REPO = 'someone/net'
FILE = f'hf://{REPO}/sub/net.safetensors'


@pytest.fixture
def server(tmp_path, monkeypatch):
  """A server with one file, and an empty cache."""
  path = tmp_path / 'net.safetensors'
  safetensors.write(path, {'w': np.arange(6, dtype=np.float32)})
  with hub_server.serving() as server:
    server.repos[REPO] = {'sub/net.safetensors': path.read_bytes()}
    hub_server.use(server, tmp_path, monkeypatch)
    hub.forget()
    yield server
    hub.forget()


def _told(text=FILE):
  """The error of an address, which is one line."""
  hub.forget()
  with pytest.raises(ValueError) as error:
    hub.fetch(text)
  message = str(error.value)
  assert message.startswith(f'{text}: ') and '\n' not in message
  return message


def test_a_file_is_fetched_once_and_its_origin_is_told(server):
  importer = weights.Importer(
    f'{FILE}@main', 'IMAGENET', lambda tensors: (tensors, str)
  )
  origin = weights.provenance(importer)
  content = server.repos[REPO]['sub/net.safetensors']
  commit = hub_server.commit_of(server.repos[REPO])
  assert origin.path == f'{FILE}@main' and origin.commit == commit
  assert origin.sha256 == hashlib.sha256(content).hexdigest()
  assert f'{FILE}@main (commit {commit}; sha256 {origin.sha256}' in str(origin)
  asked = len(server.requests)
  found = weights.read(parts.locate(f'{FILE}@main').path)
  np.testing.assert_array_equal(found['w'], np.arange(6))
  assert len(server.requests) == asked
  # A commit that is in the cache needs no server.
  hub.forget()
  assert hub.fetch(f'{FILE}@{commit}').commit == commit
  assert len(server.requests) == asked


def test_the_declaration_and_shards_come_along(server, tmp_path):
  path = tmp_path / 'shard'
  files = server.repos[REPO]
  for i, name in enumerate(('a', 'b')):
    safetensors.write(path, {name: np.full(3, i, np.float32)})
    files[f'm-0000{i + 1}-of-00002.safetensors'] = path.read_bytes()
  index = {n: f'm-0000{i + 1}-of-00002.safetensors' for i, n in enumerate('ab')}
  files['m.safetensors.index.json'] = json.dumps({'weight_map': index}).encode()
  files['sub/net.safetensors.json'] = b'{"saw_target_labels": true}'
  text = f'hf://{REPO}/m.safetensors.index.json'
  assert weights.read(parts.locate(text).path).keys() == {'a', 'b'}
  importer = weights.Importer(FILE, 'IMAGENET', lambda tensors: (tensors, str))
  with pytest.raises(ValueError, match=f'{FILE}: these weights saw labels of'):
    weights.check(importer, allow_target_labels=False)


@pytest.mark.parametrize(
  ('text', 'told'),
  [
    ('hf://someone/other/a.pth', "no repository 'someone/other', or a private"),
    (f'{FILE}@v2', "someone/net has no revision 'v2'"),
    (f'hf://{REPO}/a.pth', "no file 'a.pth' in revision 'main'"),
    (f'hf://{REPO}', 'expected hf://OWNER/NAME/FILE'),
    (f'hf://{REPO}@main/a.pth', 'the revision last'),
    ('hf://net.pth', 'expected hf://OWNER/NAME/FILE'),
    (f'hf://{REPO}/../a.pth', ''),
  ],
)
@pytest.mark.usefixtures('server')
def test_what_is_not_there(text, told):
  assert told in _told(text)


def test_a_private_repository_and_the_token(server, monkeypatch):
  server.private.add(REPO)
  assert 'HF_TOKEN' in _told() and '401' in _told()
  monkeypatch.setenv('HF_TOKEN', 'hf_wrong')
  assert 'hf_wrong' not in _told() and 'hf_wrong' in server.tokens
  monkeypatch.setenv('HF_TOKEN', server.token)
  assert hub.fetch(FILE).path.is_file()


def test_without_a_network_the_cache_is_taken_with_a_warning(
  server, monkeypatch, caplog
):
  server.status = 503
  assert 'not in the cache, and the hub cannot be reached' in _told()
  server.status = 0
  first = hub.fetch(FILE)
  for change in (
    lambda: setattr(server, 'status', 503),
    lambda: monkeypatch.setattr(
      constants,
      'HUGGINGFACE_CO_URL_TEMPLATE',
      'http://127.0.0.1:9/{repo_id}/{revision}/{filename}',
    ),
    lambda: monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True),
  ):
    change()
    hub.forget()
    caplog.clear()
    assert hub.fetch(FILE) == first
    assert f'taking commit {first.commit} from the cache' in caplog.text
  assert 'not in the cache' in _told(f'hf://{REPO}/b.pth')


def test_a_truncated_download_leaves_nothing(server, monkeypatch):
  monkeypatch.setattr('time.sleep', lambda seconds: None)
  server.truncated = True
  assert 'the download failed' in _told()
  server.status = 503
  assert 'not in the cache' in _told()


def test_a_damaged_file_in_the_cache_is_found(server):
  path = hub.fetch(FILE).path.resolve()
  content = bytearray(path.read_bytes())
  content[-1] ^= 1
  path.write_bytes(content)
  assert f'damaged in the cache: expected the hash {path.name}' in _told()
  server.status = 503
  assert f'remove {path}' in _told()


def test_the_missing_package_is_told(monkeypatch):
  hub.forget()
  monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
  with pytest.raises(ImportError, match=r"pip install 'uda_jax\[hub\]'"):
    hub.fetch(FILE)


@pytest.mark.usefixtures('server')
def test_a_part_of_a_file():
  found = parts.locate(f'{FILE}@main#ema_model')
  assert (found.part, found.address) == ('ema_model', f'{FILE}@main')
  assert str(found) == f'{FILE}@main#ema_model'
