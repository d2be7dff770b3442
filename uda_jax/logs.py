"""The log of a command: this library's lines, without those of others."""

from __future__ import annotations

import logging as python_logging
import os


def quiet() -> None:
  """Hides what TensorFlow and XLA log; to be called before they load.

  Their level 3 is "fatal errors alone"; a level that the user has set stays.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')


def show(debug: bool = False) -> None:
  """Makes the log of this program lines of 'time message' on stderr.

  Args:
    debug: whether JAX's own warnings show.
  """
  # Imported here, so that --help is fast.
  from absl import flags
  from absl import logging

  # Libraries that read absl's flags get their defaults.
  flags.FLAGS.mark_as_parsed()
  logging.use_absl_handler()
  logging.use_python_logging(quiet=True)
  logging.set_verbosity(logging.INFO)
  logging.get_absl_handler().setFormatter(
    python_logging.Formatter('%(asctime)s %(message)s', '%H:%M:%S')
  )
  if not debug:
    # What JAX says of looking for devices and processes.
    python_logging.getLogger('jax').setLevel(python_logging.ERROR)
    # A line for each request of the hub's client.
    for name in ('httpx', 'httpx2'):
      python_logging.getLogger(name).setLevel(python_logging.WARNING)
