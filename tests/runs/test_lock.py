"""The lock of a run's directory."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from uda_jax.runs import lock

ROOT = pathlib.Path(__file__).parents[2]
_HOLD = """
import os, pathlib, sys
from uda_jax.runs import lock
lock.Lock(pathlib.Path(sys.argv[1])).__enter__()
print('held', flush=True)
sys.stdin.read()
os._exit(9)
"""


@pytest.fixture
def other(tmp_path):
  """A process that holds the directory."""
  process = subprocess.Popen(
    [sys.executable, '-c', _HOLD, tmp_path],
    cwd=ROOT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'held\n'
  yield process
  process.kill()
  process.wait()


def _change(workdir, **changes):
  path = workdir / 'lock.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_directory_in_use_names_its_holder(tmp_path, other):
  with pytest.raises(ValueError, match=f'process {other.pid} on') as error:
    lock.Lock(tmp_path).__enter__()
  assert 'since 20' in str(error.value) and '--workdir' in str(error.value)


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, other, caplog):
  other.kill()
  other.wait()
  with lock.Lock(tmp_path):
    assert f'process {other.pid} on' in caplog.text
    assert (
      json.loads((tmp_path / 'lock.json').read_text())['pid'] == os.getpid()
    )
    # Not twice in one process.
    with pytest.raises(ValueError, match='in use'):
      lock.Lock(tmp_path).__enter__()
  assert not list(tmp_path.iterdir())


def test_another_host_is_given_time_for_a_sign_of_life(
  tmp_path, other, monkeypatch, caplog
):
  monkeypatch.setattr(lock, '_SILENT', 0.5)
  _change(tmp_path, where=['elsewhere', ''], host='node7')
  polled = []

  def beat():
    polled.append(1)
    os.utime(tmp_path / 'lock.json')

  with pytest.raises(ValueError, match='on node7.*sign of life just now'):
    lock.Lock(tmp_path, poll=beat).__enter__()
  assert polled
  with lock.Lock(tmp_path):
    assert 'on node7' in caplog.text and 'taken over' in caplog.text


@pytest.mark.parametrize(
  'change, message',
  [
    (lambda folder: shutil.rmtree(folder), 'the directory was removed'),
    (lambda folder: _change(folder, pid=1, id='x'), 'that of process 1 on'),
  ],
)
def test_a_lost_directory_is_noticed(tmp_path, monkeypatch, change, message):
  monkeypatch.setattr(lock, '_BEAT', 0.02)
  workdir = tmp_path / 'run'
  workdir.mkdir()
  with lock.Lock(workdir) as held:
    held.check()
    change(workdir)
    with pytest.raises(lock.Gone, match=message):
      for _ in range(200):
        time.sleep(0.02)
        held.check()


@pytest.mark.parametrize('content', ['', '[]', '{"pid": 1}'])
def test_something_else_in_place_of_the_lock(tmp_path, monkeypatch, content):
  monkeypatch.setattr(lock.time, 'sleep', lambda seconds: None)
  (tmp_path / 'lock.json').write_text(content)
  with pytest.raises(ValueError, match='lock.json: expected the lock'):
    lock.Lock(tmp_path).__enter__()


def test_a_server_that_answers_twice_gives_the_lock(tmp_path, monkeypatch):
  """NFS repeats a request whose answer was lost: the file is there by then."""
  link = os.link

  def repeated(*names):
    link(*names)
    raise FileExistsError(17, 'File exists', *names)

  monkeypatch.setattr(lock.os, 'link', repeated)
  with lock.Lock(tmp_path):
    monkeypatch.setattr(lock.os, 'link', link)
    with pytest.raises(ValueError, match='in use'):
      lock.Lock(tmp_path).__enter__()


def test_a_slow_file_server_ends_no_run(tmp_path, monkeypatch):
  monkeypatch.setattr(lock, '_BEAT', 0.01)
  calls = []

  def broken(path):
    calls.append(path)
    raise OSError(116, 'Stale file handle')

  with lock.Lock(tmp_path) as held:
    monkeypatch.setattr(lock.os, 'utime', broken)
    while len(calls) < 3:
      time.sleep(0.01)
    held.check()
    monkeypatch.setattr(lock, '_SILENT', 0.1)
    with pytest.raises(lock.Gone, match='any more .*Stale file handle'):
      for _ in range(200):
        time.sleep(0.02)
        held.check()


def test_a_directory_that_became_read_only_is_left(tmp_path, monkeypatch):
  def read_only(*_, **__):
    raise OSError(30, 'Read-only file system')

  held = lock.Lock(tmp_path).__enter__()
  with monkeypatch.context() as patched:
    patched.setattr(pathlib.Path, 'unlink', read_only)
    held.release()  # called on the way out of a process that must end
  assert (tmp_path / 'lock.json').is_file()


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
  write = pathlib.Path.write_text

  def full(self, *args):
    write(self, '')
    raise OSError(28, 'No space left on device', str(self))

  monkeypatch.setattr(pathlib.Path, 'write_text', full)
  with pytest.raises(OSError, match='No space left'):
    lock.Lock(tmp_path).__enter__()
  assert not list(tmp_path.iterdir())
