"""The parts of a running loop: what it saves to, logs to and stops for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import dataclasses
import pathlib
from typing import NamedTuple

import jax

from uda_jax import methods
from uda_jax.runs import checkpoint
from uda_jax.runs import lock
from uda_jax.runs import loggers as loggers_lib
from uda_jax.runs import provenance
from uda_jax.runs import resume
from uda_jax.runs import writers
from uda_jax.train import evaluation
from uda_jax.train import interrupts
from uda_jax.train import logs
from uda_jax.train import peers as peers_lib
from uda_jax.train import programs as programs_lib
from uda_jax.train import setup
from uda_jax.train import warm_start
from uda_jax.train import watchdog


class Parts(NamedTuple):
  """The parts of a running loop."""

  run: setup.Run
  programs: programs_lib.Programs
  saved: checkpoint.Checkpoints
  writer: writers.Writer
  evaluations: evaluation.Evaluations
  interrupts: interrupts.Interrupts
  lock: lock.Lock
  peers: peers_lib.Peers
  watchdog: watchdog.Watchdog


@contextlib.contextmanager
def opened(
  run: setup.Run,
  cache: pathlib.Path | None,
  handler: interrupts.Interrupts,
  held: lock.Lock,
  peers: peers_lib.Peers,
  loggers: Sequence[loggers_lib.Logger],
) -> Iterator[Parts]:
  """Opens the checkpoints, curves and watchdog of a run."""
  config = run.config
  saving = checkpoint.Checkpoints(
    run.workdir,
    every_steps=config.checkpoint.every,
    keep=config.checkpoint.keep,
    keep_every=config.checkpoint.keep_every,
    base=run.base,
  )
  watching = watchdog.Watchdog(
    run.workdir, config.parallel.slow_step, process=jax.process_index()
  )
  with (
    saving as saved,
    logs.open_writer(run, saved.latest_step() or 0, loggers) as writer,
    watching as watch,
  ):
    yield Parts(
      run,
      programs_lib.Programs(run, cache),
      saved,
      writer,
      evaluation.Evaluations(run, saved, writer, handler.poll),
      handler,
      held,
      peers,
      watch,
    )


def write_manifest(run: setup.Run) -> None:
  """Writes what makes a run: config, data, weights, versions."""
  data = {
    name: resume.describe_data(part) for name, part in run.data.parts().items()
  }
  source = run.data.source
  facts = {
    'method': methods.full_name(run.config.method),
    'data': data,
    'classes': {'names': source.class_names, 'palette': source.palette},
    'weights': dataclasses.asdict(run.weights) if run.weights else None,
    'warm_start': warm_start.declared(run.config),
  }
  labeled, once = run.data.target_labels, {}
  if labeled is not None:
    once['target_labels'] = resume.listed(labeled)
  provenance.run_manifest(run.workdir, run.config, facts, once)
