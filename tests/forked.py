"""Commands in processes of their own that start within a second.

Each is a fork of a process that has imported TensorFlow and JAX, but has used
neither: importing takes most of a short command's time.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
_CONTEXT = multiprocessing.get_context('forkserver')
_CONTEXT.set_forkserver_preload(['uda_jax.main', 'uda_jax.train.command'])


class Forked:
  """A running function, used like a `subprocess.Popen` with one pipe.

  Attributes:
    stdout: what it prints, errors too, as a text file.
  """

  def __init__(
    self,
    function: Callable[..., Any],
    *args: Any,
    devices: int = 1,
    environment: dict[str, str] | None = None,
  ):
    """Starts it.

    Args:
      function: of a module; what it returns is lost.
      *args: its arguments.
      devices: number of JAX's CPU devices.
      environment: more variables.
    """
    read, write = _CONTEXT.Pipe(duplex=False)
    # A test that fails leaves none behind.
    self._process = _CONTEXT.Process(
      target=_run,
      args=(write, function, args, devices, environment or {}),
      daemon=True,
    )
    self._process.start()
    write.close()
    self.stdout = os.fdopen(os.dup(read.fileno()), errors='replace')
    read.close()

  @property
  def pid(self) -> int:
    """Its number."""
    return self._process.pid

  @property
  def returncode(self) -> int | None:
    """The exit code, minus the signal that killed it, None while it runs."""
    return self._process.exitcode

  def send_signal(self, number: int) -> None:
    """Sends a signal."""
    os.kill(self.pid, number)

  def kill(self) -> None:
    """Ends it as a power failure would."""
    if self.returncode is None:
      self.send_signal(signal.SIGKILL)

  def wait(self, timeout: float) -> int | None:
    """Waits for its end; returns the exit code."""
    self._process.join(timeout)
    return self.returncode

  def communicate(self, timeout: float = 300) -> str:
    """Returns all that it still prints; kills it after `timeout` seconds."""
    timer = threading.Timer(timeout, self.kill)
    timer.start()
    try:
      with self.stdout:
        output = self.stdout.read()
      self._process.join()
    finally:
      timer.cancel()
    return output


def _run(
  write: Any,
  function: Callable[..., Any],
  args: tuple[Any, ...],
  devices: int,
  environment: dict[str, str],
) -> None:
  """Calls a function with its output in a pipe; runs in the new process."""
  for descriptor in (1, 2):
    os.dup2(write.fileno(), descriptor)
  write.close()
  # Those of the fork server remember whether they were files.
  sys.stdout, sys.stderr = (
    open(descriptor, 'w', buffering=1, closefd=False) for descriptor in (1, 2)
  )
  os.chdir(ROOT)
  os.environ.update(environment)
  import jax

  jax.config.update('jax_num_cpu_devices', devices)
  try:
    function(*args)
  finally:
    # Such processes end without it; JAX's wait for each other there.
    atexit._run_exitfuncs()
