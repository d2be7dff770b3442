"""Trains a config, or resumes its run.

  python -m uda_jax.main --config=streets/self_training --workdir=DIR
  python -m uda_jax.main --config=my_config.py --workdir=DIR \\
      --config.steps=2000 --config.data.root=/data

A second start with the same --workdir resumes; a finished run prints its
results. Several processes (hosts, GPUs of a cluster) make up one run:

  python -m uda_jax.main --config=... --workdir=/shared/DIR \\
      --coordinator=HOST:PORT --num_processes=2 --process_id=0

Exit codes: 0 done; 1 an error (one line says which); 2 wrong flags; 75 stopped
by SIGTERM or SIGHUP, or 130 by Ctrl-C, with everything saved: the same command
resumes. A second signal ends the run at once, with 128 + its number. 74: the
directory of the run was removed, is full or cannot be written. 76: another
process of the run died or hangs, or did not come within --start_timeout; the
same command resumes. docs/clusters.md says what each launcher does about them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import gc

from uda_jax import cli
from uda_jax.train import flags
from uda_jax.train import interrupts


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.main', __doc__)
  flags.add(result)
  return result


def train(args: argparse.Namespace) -> None:
  """Runs the training that the arguments describe."""
  # Importing and tracing make objects that live to the end; searching them
  # again and again for garbage takes a tenth of the start-up time.
  gc.set_threshold(100_000)
  with interrupts.Interrupts(command=True) as handler:
    _train(args, handler)


def _train(args: argparse.Namespace, handler: interrupts.Interrupts) -> None:
  """Checks all that can be checked early, and trains."""
  # All that can be checked without TensorFlow, which takes seconds to import.
  from uda_jax import configs
  from uda_jax.configs import overrides

  flags.check(args)
  config = overrides.apply(configs.load(args.config), args.overrides)
  from uda_jax.runs import provenance
  from uda_jax.train import checks

  checks.check_config(config)
  workdir = checks.check_workdir(args.workdir)
  provenance.check_resumable(workdir, config)
  flags.connect(args)
  checks.check_devices(config)
  with cli.hidden_stderr(not args.debug):
    from uda_jax.train import command

  command.run(config, workdir, handler)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), train, argv)


if __name__ == '__main__':
  main()
