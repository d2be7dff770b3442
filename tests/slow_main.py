"""`uda_jax.main` with pauses, in which tests kill it."""

import time

from uda_jax import main as command
from uda_jax.runs import checksums
from uda_jax.train import loop


def main(argv):
  """Trains with pauses between steps and within saves."""
  after_step, write = loop._after_step, checksums.write

  def after_pause(*args):
    time.sleep(0.05)
    return after_step(*args)

  def write_later(folder):
    time.sleep(0.3)
    write(folder)

  loop._after_step, checksums.write = after_pause, write_later
  command.main(argv)
