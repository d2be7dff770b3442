"""A process that watches two others without training, a step each 0.1 s."""

import time

from uda_jax import parallel
from uda_jax.parallel import relay
from uda_jax.train import peers


def main(address, number, fails_at):
  """Prints its steps; process 1 fails at one of them.

  Args:
    address: of process 0.
    number: of this process.
    fails_at: a step, -1 for none.
  """
  parallel.start_processes(address, 3, number, through=relay.through)
  with peers.Peers(2.0) as watched:
    for step in range(600):
      time.sleep(0.1)
      watched.step = step
      print(step, flush=True)
      if (number, step) == (1, fails_at):
        raise ValueError('a.png: expected an image')
