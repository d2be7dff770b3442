"""`uda_jax.main` with pauses, in which tests kill it."""

import time

from uda_jax import main as command
from uda_jax.runs import checksums
from uda_jax.train import loop
from uda_jax.train import peers

KNOWN = 'the other process trains'


def main(argv):
  """Trains with pauses between steps and within saves.

  Prints `KNOWN` when it has heard of another process's first step.
  """
  after_step, write = loop._after_step, checksums.write
  read = peers.Peers._read

  def after_pause(*args):
    time.sleep(0.05)
    return after_step(*args)

  def write_later(folder):
    time.sleep(0.3)
    write(folder)

  def read_aloud(self, number, sign):
    read(self, number, sign)
    if number != self._number and sign['step']:
      print(KNOWN, flush=True)

  loop._after_step, checksums.write = after_pause, write_later
  peers.Peers._read = read_aloud
  command.main(argv)
