"""One run at a time in a directory: a lock that names its holder.

`<workdir>/lock.json` names the process that trains there. The holder touches it
every few seconds, so that other processes, on any host, can distinguish a crash
from a running process. File locks of network file systems are not reliable.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import datetime
import json
import os
import pathlib
import socket
import threading
import time
from typing import Any
import uuid

from absl import logging

# Seconds between two signs of life, and after which a silent holder is dead.
_BEAT = 5.0
_SILENT = 60.0
# Of a holder, see `_holder`.
_FIELDS = {'host', 'where', 'pid', 'started', 'since'}


class Gone(OSError):
  """The run's directory was removed, is full or cannot be written."""

  exit_code = 74  # BSD's EX_IOERR


class Lock:
  """Holds a directory; a context manager.

  Entering raises ValueError if another process holds it. The lock of a dead
  process is taken over: at once if it ran on this host, else when there was no
  sign of life for a minute, which is waited for.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    *,
    poll: Callable[[], None] = lambda: None,
  ):
    """Locks nothing yet.

    Args:
      workdir: the directory; it is there.
      poll: called while the lock waits.
    """
    self._path = workdir / 'lock.json'
    self._mine = _holder()
    self._poll = poll
    self._lost = ''
    self._released = threading.Event()

  def __enter__(self) -> Lock:
    unreadable = 0
    while not self._create():
      holder = _read(self._path)
      if holder is None:  # given back in the meantime
        unreadable += 1
        if unreadable > 50:
          raise ValueError(
            f'{self._path}: expected the lock of a run, got something else; '
            f'remove it if no run uses {self._path.parent}'
          )
        time.sleep(0.1)
      elif problem := self._alive(holder):
        raise ValueError(problem)
      else:
        self._remove_stale(holder)
    threading.Thread(target=self._beat, name='lock', daemon=True).start()
    return self

  def __exit__(self, *_) -> None:
    self.release()

  def release(self) -> None:
    """Gives the directory back, if it can still be written."""
    self._released.set()
    if _read(self._path) == self._mine:
      with contextlib.suppress(OSError):
        self._path.unlink(missing_ok=True)

  def check(self) -> None:
    """Raises `Gone` if the directory was removed or taken by another run."""
    if self._lost:
      raise Gone(self._lost)

  def _create(self) -> bool:
    """Creates the file with its content, or returns that there is one."""
    whole = self._path.with_name(f'.lock_{uuid.uuid4().hex}')
    try:
      whole.write_text(json.dumps(self._mine))
      return self._link(whole)
    finally:
      whole.unlink(missing_ok=True)

  def _link(self, whole: pathlib.Path) -> bool:
    try:
      os.link(whole, self._path)  # fails if it is there, on NFS as well
    except FileExistsError:
      # Also where a server's answer was lost, and NFS repeated the request.
      return _read(self._path) == self._mine
    except OSError:  # a file system without links
      return self._create_here()
    return True

  def _create_here(self) -> bool:
    try:
      with self._path.open('x') as file:
        json.dump(self._mine, file)
    except FileExistsError:
      return False
    return True

  def _alive(self, holder: dict[str, Any]) -> str:
    """Returns the message about a living holder, '' if it is dead."""
    text = (
      f'--workdir: {self._path.parent} is in use by process {holder["pid"]} on '
      f'{holder["host"]}, since {holder["since"]}'
    )
    if holder['where'] == self._mine['where']:
      if not _runs(holder):
        return ''
      return f'{text}. Wait for it or stop it, or use another --workdir'
    logging.info('%s: waiting for a sign of life', text)
    seen, until = _touched(self._path), time.monotonic() + _SILENT
    while time.monotonic() < until:
      self._poll()
      time.sleep(min(1.0, _SILENT / 10))
      if _touched(self._path) != seen:
        return (
          f'{text}; it gave a sign of life just now. Wait for it or stop it, '
          'or use another --workdir'
        )
    return ''

  def _remove_stale(self, holder: dict[str, Any]) -> None:
    logging.warning(
      'process %s on %s, which held %s since %s, is gone: taken over',
      holder['pid'],
      holder['host'],
      self._path.parent,
      holder['since'],
    )
    if _read(self._path) == holder:
      self._path.unlink(missing_ok=True)

  def _beat(self) -> None:
    good = time.monotonic()
    while not self._released.wait(_BEAT):
      try:
        self._lost = self._sign() or self._lost
        good = time.monotonic()
      except OSError as error:
        # A file server may be slow or start again: nobody takes over so soon.
        if time.monotonic() - good > _SILENT / 2:
          self._lost = f'{self._path}: cannot be written any more ({error})'

  def _sign(self) -> str:
    """Gives a sign of life; returns how the lock was lost, '' if it was not."""
    try:
      holder = _parsed(self._path.read_text())
    except FileNotFoundError:
      holder = None
    if holder is None:
      return (
        f'{self._path}: expected the lock of this run, found none: the '
        'directory was removed, or its file system is gone'
      )
    if holder != self._mine:
      return (
        f'{self._path}: expected the lock of this run, found that of process '
        f'{holder["pid"]} on {holder["host"]}, since {holder["since"]}'
      )
    os.utime(self._path)
    return ''


def _holder() -> dict[str, Any]:
  """Returns what names this process."""
  return {
    'host': socket.gethostname(),
    # Numbers of processes are those of this boot, and of this container.
    'where': [_text('/proc/sys/kernel/random/boot_id'), _namespace()],
    'pid': os.getpid(),
    'started': _started(os.getpid()),
    'since': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'id': uuid.uuid4().hex,
  }


def _text(path: str) -> str:
  try:
    return pathlib.Path(path).read_text().strip()
  except OSError:
    return ''


def _namespace() -> str:
  try:
    return os.readlink('/proc/self/ns/pid')
  except OSError:
    return socket.gethostname()


def _runs(holder: dict[str, Any]) -> bool:
  """Returns whether a process of this host still runs."""
  if holder['started']:
    return holder['started'] == _started(holder['pid'])
  try:  # a system without /proc
    os.kill(holder['pid'], 0)
  except ProcessLookupError:
    return False
  except PermissionError:
    pass
  return True


def _started(pid: int) -> str:
  """Returns when a process started, in ticks; '' if there is none."""
  # Field 22 of proc(5); the name in brackets before may contain anything.
  fields = _text(f'/proc/{pid}/stat').rpartition(')')[2].split()
  if not fields or fields[0] == 'Z':  # a process that has ended
    return ''
  return fields[19]


def _touched(path: pathlib.Path) -> int:
  try:
    return path.stat().st_mtime_ns
  except OSError:
    return 0


def _read(path: pathlib.Path) -> dict[str, Any] | None:
  """Returns the holder that a lock names, None without a lock."""
  try:
    return _parsed(path.read_text())
  except OSError:
    return None


def _parsed(text: str) -> dict[str, Any] | None:
  """Returns the holder in the text of a lock, None for something else."""
  try:
    holder = json.loads(text)
  except ValueError:
    return None
  whole = isinstance(holder, dict) and holder.keys() >= _FIELDS
  return holder if whole else None
