"""Checks that the processes of a run fit together, before it starts.

All processes call each function, which raises `joint_checks.ProcessError` in
all of them if something is wrong in one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import json
import pathlib
import socket
import time
from typing import Any, NamedTuple
import uuid

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import cores
from uda_jax import parallel
from uda_jax import types
from uda_jax.parallel import exchange
from uda_jax.parallel import joint_checks
from uda_jax.runs import compile_cache
from uda_jax.runs import provenance
from uda_jax.runs import resume
from uda_jax.train import checks

# Fields that may differ between machines: where data lie on them.
_OWN_FIELDS = ('data.root', 'data.cache_dir', 'compile_cache')
# Seconds by which clocks may differ, for the times in logs and curves.
_SKEW = 10.0
# Seconds that a network file system may take to show a new file.
_VISIBLE = 30.0


class Machine(NamedTuple):
  """A machine as a process sees it.

  Attributes:
    host: its name.
    devices: number of devices.
    kind: of device.
    bytes: memory of a device that there is.
    cores: CPU cores of the process.
  """

  host: str
  devices: int
  kind: str
  bytes: int
  cores: int


def clocks() -> float:
  """Returns by how many seconds the clocks of the machines differ at most."""
  exchange.texts('')  # so that all look at the same moment
  times = joint_checks.everywhere(time.time)
  skew = max(times) - min(times)
  if skew > _SKEW:
    joint_checks.fail(
      f'clock: expected to differ by at most {_SKEW:g} s, is {skew:.0f} s '
      'behind; set the clocks by NTP',
      [int(np.argmin(times))],
    )
  return skew


def code() -> str:
  """Compares the code and its packages; returns the revision."""
  revisions = joint_checks.everywhere(provenance.revision)
  joint_checks.same('git revision of uda_jax', revisions)
  versions = joint_checks.everywhere(provenance.versions)
  for name in sorted({name for found in versions for name in found}):
    joint_checks.same(
      f'version of {name}', [found.get(name) for found in versions]
    )
  found = revisions[0]
  if found is None:
    return 'installed, without a git revision'
  return found['revision'][:12] + (', with changes' if found['dirty'] else '')


def config(config: types.Config) -> None:
  """Checks the config in each process, and that all have the same."""

  def check() -> Any:
    checks.check_config(config)
    return json.loads(config.to_json_best_effort())

  configs = joint_checks.everywhere(check)
  for process, other in enumerate(configs):
    for name, (ours, theirs) in resume.differences(configs[0], other).items():
      if name not in _OWN_FIELDS:
        joint_checks.fail(
          f'config.{name}: expected {ours!r} as in process 0, got {theirs!r}',
          [process],
        )


def workdir(path: Any, config: types.Config) -> pathlib.Path:
  """Checks that all processes write to one directory, and see all files."""
  [token, *_] = joint_checks.everywhere(lambda: uuid.uuid4().hex)
  name = '.check_cluster_{}_{}'.format
  mine: list[pathlib.Path] = []

  def write() -> None:
    folder = checks.check_workdir(path)
    provenance.check_resumable(folder, config)
    mine.append(folder / name(token, jax.process_index()))
    mine[0].write_text('')

  def see() -> None:
    folder, until = mine[0].parent, time.monotonic() + _VISIBLE
    files = [folder / name(token, i) for i in range(jax.process_count())]
    while missing := [i for i, file in enumerate(files) if not file.exists()]:
      if time.monotonic() > until:
        raise OSError(
          f'--workdir: expected a directory that all processes share, got '
          f'{folder}, in which what process {missing[0]} has written is not '
          'seen: it is a disk of one machine, or another folder'
        )
      list(folder.iterdir())  # makes a network file system look again
      time.sleep(0.2)

  try:
    joint_checks.everywhere(write)
    joint_checks.everywhere(see)
  finally:
    for file in mine:
      file.unlink(missing_ok=True)
  return mine[0].parent


def machines() -> list[Machine]:
  """Returns what each process sees of its machine."""
  device = jax.local_devices()[0]
  stats = device.memory_stats() or {}
  found = [
    Machine(*values)
    for values in joint_checks.everywhere(
      lambda: Machine(
        socket.gethostname(),
        jax.local_device_count(),
        device.device_kind,
        stats.get('bytes_limit', 0) or _free(),
        cores.count(),
      )
    )
  ]
  if stats.get('bytes_limit'):
    return found
  # Devices that are the CPU share the memory of their machine.
  sharing = lambda host: sum(m.devices for m in found if m.host == host)
  return [m._replace(bytes=m.bytes // sharing(m.host)) for m in found]


def _free() -> int:
  """Returns the bytes of memory that this machine has left, 0 if unknown."""
  file = pathlib.Path('/proc/meminfo')
  lines = file.read_text().splitlines() if file.exists() else []
  fields = dict(line.split(':', 1) for line in lines)
  return int(fields.get('MemAvailable', '0').split()[0]) * 1024


def devices(config: types.Config, found: Sequence[Machine]) -> None:
  """Checks that devices are alike everywhere, and that the groups fit."""
  joint_checks.same('devices', [f'{m.devices} x {m.kind}' for m in found])
  joint_checks.everywhere(lambda: checks.check_devices(config))


def add_up(config: types.Config) -> tuple[int, float]:
  """Adds a number of each device over all; returns devices and seconds.

  The time is that of a second addition, without compiling.
  """
  mesh = parallel.make_mesh(config.devices or None)
  own = np.ones(mesh.local_mesh.size, np.float32)
  total = jax.jit(jnp.sum, out_shardings=parallel.replicated(mesh))

  def check() -> float:
    for _ in range(2):
      start = time.monotonic()
      found = float(total(parallel.to_global(own, mesh)))
      seconds = time.monotonic() - start
    if found != mesh.size:
      raise ValueError(
        f'a sum over all devices: expected {mesh.size}, got {found:g}'
      )
    return seconds

  return mesh.size, max(joint_checks.everywhere(check))


def _open_files(part: Any) -> None:
  """Opens the first and the last file of a manifest; OSError if one is gone."""
  for paths in (part.image_paths, part.label_paths):
    for file in (paths[0], paths[-1]):
      if file and '://' not in file:
        open(file, 'rb').close()


def data(config: types.Config) -> dict[str, Any]:
  """Reads the data in each process, and compares them.

  Data that are not prepared yet are prepared.

  Returns:
    `resume.describe_data` by part.
  """
  from uda_jax.train import data_sets  # with TensorFlow

  def named(work: Callable[[Any], Any]) -> Any:
    try:
      return work(config)
    except OSError as error:
      raise OSError(f'config.data: {error}') from error

  def read() -> dict[str, Any]:
    found = named(data_sets.read).parts()
    for part in found.values():
      _open_files(part)
    return {name: resume.describe_data(part) for name, part in found.items()}

  joint_checks.everywhere(lambda: named(data_sets.prepare_share))
  joint_checks.everywhere(lambda: None if jax.process_index() else bool(read()))
  everywhere = joint_checks.everywhere(read)
  for part in everywhere[0]:
    for fact in everywhere[0][part]:
      joint_checks.same(
        f'config.data.{part}: {fact}',
        [found[part][fact] for found in everywhere],
      )
  return everywhere[0]


def memory(
  config: types.Config, path: pathlib.Path, found: Sequence[Machine]
) -> int:
  """Compiles the train step with all its terms; returns the bytes it plans.

  Raises:
    joint_checks.ProcessError: it plans more than a device has.
  """
  from uda_jax.train import programs
  from uda_jax.train import setup
  from uda_jax.train import state as state_lib

  def planned() -> int:
    run, student = setup.build(config, path)
    batch = parallel.to_global(next(setup.batches(run, 0)), run.mesh)
    state = state_lib.start(run, student, batch)
    with compile_cache.using(config.compile_cache) as cache:
      step = programs.Programs(run, cache).train_step(
        state, batch, len(run.recipe.method.starts)
      )
    return compile_cache.planned_bytes(step)

  everywhere = joint_checks.everywhere(planned)
  for process, (plan, machine) in enumerate(zip(everywhere, found)):
    if plan > machine.bytes > 0:
      joint_checks.fail(
        f'memory: expected at most {machine.bytes / 2**30:.1f} GiB a device, '
        f'the train step plans {plan / 2**30:.1f} GiB; use smaller crops '
        '(config.data.crop_size), batch.accumulate, or model.dtype bfloat16',
        [process],
      )
  return max(everywhere)
