"""Trains: `python -m uda_jax.main --config=configs/streets/self_training.py`.

Exit codes: 0 done; 1 an error (one line says which); 75 stopped by SIGTERM
with everything saved: the same command resumes.
"""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
  'config',
  None,
  'The leaf of the run, e.g. configs/streets/'
  'self_training.py; fields are overridden by --config.FIELD=VALUE.',
)
_WORKDIR = flags.DEFINE_string(
  'workdir',
  None,
  'Where checkpoints, curves and results go; a second start '
  'with the same workdir resumes.',
)
_COORDINATOR = flags.DEFINE_string(
  'coordinator',
  '',
  'host:port of process 0 of a run of several processes; '
  'not needed where JAX finds it (TPU pods, Slurm, MPI).',
)
_NUM_PROCESSES = flags.DEFINE_integer(
  'num_processes', 1, 'Processes of the run, with --coordinator.'
)
_PROCESS_ID = flags.DEFINE_integer(
  'process_id', 0, 'Which of them this is, with --coordinator.'
)
_DEBUG = flags.DEFINE_bool('debug', False, 'Show the traceback of an error.')

# BSD's EX_TEMPFAIL: "try again later", which is what a scheduler should do.
EXIT_PREEMPTED = 75


def main(argv):
  """Runs the training that the flags describe."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments: {argv[1:]}')
  # What imports and tracing make lives on; to look for garbage among it again
  # and again takes a tenth of every start.
  gc.set_threshold(100_000)
  # Imported here, so that --help and a typo in a flag answer at once, and a bad
  # config before TensorFlow is there.
  from uda_jax.train import checks

  try:
    checks.check_config(_CONFIG.value)
    checks.check_workdir(_WORKDIR.value)
  except (ValueError, OSError) as error:
    _fail(error)
  from uda_jax import parallel
  from uda_jax.runs import writers
  from uda_jax.train import loop

  writers.plain_log()
  parallel.start_processes(
    _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value
  )
  try:
    loop.run(_CONFIG.value, _WORKDIR.value)
  except loop.Preempted as stopped:
    logging.info('%s', stopped)
    sys.exit(EXIT_PREEMPTED)
  except (ValueError, OSError, loop.TrainingFailed) as error:
    _fail(error)


def _fail(error: Exception) -> NoReturn:
  """Ends the program with one line, or all lines with --debug."""
  if _DEBUG.value:
    raise error
  print(f'error: {error}', file=sys.stderr)
  sys.exit(1)


if __name__ == '__main__':
  flags.mark_flags_as_required(['config', 'workdir'])
  app.run(main)
