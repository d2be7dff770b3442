"""A relay to the coordinator that keeps its connections open.

JAX's client aborts the process with a C++ stack as soon as the connection to
process 0 breaks. Behind a relay in its own process it waits instead, so that
`train.peers` can say what happened and choose the exit code.
"""

from __future__ import annotations

import contextlib
import socket
import threading

# Seconds in which process 0 has to accept a connection; the client tries again.
_CONNECT = 10.0


def through(address: str) -> str:
  """Starts a relay to an address; returns the relay's own.

  Args:
    address: host:port of the coordinator, which may start to listen later.
  """
  host, port = address.rsplit(':', 1)
  far = host.strip('[]'), int(port)
  listener = socket.create_server(('127.0.0.1', 0))
  _start(_accept, listener, far)
  return f'127.0.0.1:{listener.getsockname()[1]}'


def _start(function, *args) -> None:
  threading.Thread(
    target=function, args=args, name='relay', daemon=True
  ).start()


def _accept(listener: socket.socket, address: tuple[str, int]) -> None:
  while True:
    near, _ = listener.accept()
    _start(_connect, near, address)


def _connect(near: socket.socket, address: tuple[str, int]) -> None:
  try:
    far = socket.create_connection(address, timeout=_CONNECT)
  except OSError:
    near.close()
    return
  far.settimeout(None)
  _start(_copy, far, near)
  # Ends when the client closes, never because the coordinator is gone.
  _copy(near, far)
  far.close()
  near.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
  """Copies until the source ends; what a broken sink should get is lost."""
  while data := _received(source):
    with contextlib.suppress(OSError):
      sink.sendall(data)


def _received(source: socket.socket) -> bytes:
  try:
    return source.recv(1 << 16)
  except OSError:
    return b''
