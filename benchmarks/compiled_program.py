"""One program of a config, compiled for devices that need not be there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import importlib.metadata
import pathlib
import re
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import bounds
from benchmarks import chips
from benchmarks import flops
from benchmarks import hlo
from benchmarks import hlo_traffic
from benchmarks import random_batches
from benchmarks import targets
from benchmarks import train_step
from uda_jax import configs
from uda_jax import methods
from uda_jax import models
from uda_jax import parallel
from uda_jax.data import image_size
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol

# Changes of a config whose memory and time are of interest.
SETTINGS: dict[str, dict[str, Any]] = {
  'as published': {},
  'bfloat16': {
    'model.dtype': 'bfloat16',
    'model.matmul_precision': 'default',
  },
  'remat': {'model.remat': True},
  'bfloat16 remat': {
    'model.dtype': 'bfloat16',
    'model.matmul_precision': 'default',
    'model.remat': True,
  },
  'optimizer divided': {'parallel.shard': 'optimizer'},
  'all divided': {'parallel.shard': 'all'},
}
EVALUATION = 'evaluation'
# Of each memory space in XLA's report: its number (0 is the chip's main memory)
# and its size.
_TOTAL = re.compile(r'\(color=(\d+)\)\nTotal bytes: (\d+)')
# Cityscapes' and SYNTHIA's mapped to it.
_CLASSES = 19
_GIB = 2**30


class Program(NamedTuple):
  """A train step or an evaluation on a kind of chip.

  Attributes:
    config: name or path of a config.
    part: 'step N' of the method's phase N, or 'evaluation'.
    device: key of `chips.CHIPS`, or 'cpu': the devices here.
    devices: their number; each computes one group.
    setting: key of `SETTINGS`.
  """

  config: str
  part: str
  device: str
  devices: int = 1
  setting: str = 'as published'

  @property
  def key(self) -> str:
    """The program's name in the file of its config."""
    return f'{self.device} x {self.devices}, {self.part}, {self.setting}'


def load(program: Program) -> Any:
  """Returns the config, with the program's setting and number of groups."""
  config = configs.load(program.config)
  config.update_from_flattened_dict(SETTINGS[program.setting])
  config.batch.groups = program.devices
  return config


def parts(config: Any) -> list[str]:
  """Returns the programs of a run: a step for each phase, the evaluation."""
  phases = len(methods.make(config.method, _CLASSES).starts) + 1
  return [*(f'step {phase}' for phase in range(phases)), EVALUATION]


def changes(setting: str, config: Any) -> bool:
  """Returns whether the config has the fields of a setting, at other values."""
  fields = SETTINGS[setting]
  if not fields:
    return True
  own = [
    config[block].get(field)
    for block, field in (name.split('.') for name in fields)
  ]
  return None not in own and own != list(fields.values())


def mesh_of(program: Program) -> jax.sharding.Mesh:
  """Returns the devices, which are absent but for a CPU."""
  if program.device == 'cpu':
    return parallel.make_mesh(program.devices)
  topology = program.device
  if not chips.CHIPS[topology].description:
    topology = f'{topology}:{chips.V5E_SLICES[program.devices]}'
  return targets.absent_mesh(topology, program.devices)


def trace(program: Program, mesh: jax.sharding.Mesh) -> jax.stages.Traced:
  """Returns the traced train step or evaluation of a batch."""
  config = load(program)
  if program.part == EVALUATION:
    return _trace_evaluation(config, mesh)
  phase = int(program.part.split()[1])
  sizes = random_batches.image_sizes(config)
  update, init, batch = train_step.build(config, mesh, sizes, _CLASSES, phase)
  return train_step.trace(update, init, batch, mesh, config.parallel.shard)


def _trace_evaluation(config: Any, mesh) -> jax.stages.Traced:
  """Returns the prediction of a batch of the evaluation."""
  config.model.weights = ''
  network = models.build(config, _CLASSES)
  data = config.data.evaluation
  full = tuple(data.get('published_size') or data.image_size)
  size = image_size.seen(config.data).of(full)
  predict = inference.make_predict(
    network, protocol.configured(config.eval), mesh=mesh
  )
  variables = jax.eval_shape(lambda: network.init(jax.random.key(0), size))
  rows = -(-config.eval.batch_size // mesh.size) * mesh.size
  place = lambda x, where: jax.ShapeDtypeStruct(
    x.shape, x.dtype, sharding=where(mesh)
  )
  images = jax.ShapeDtypeStruct((rows, *size, 3), jnp.uint8)
  label_size = tuple(config.eval.label_size)
  return predict.function.trace(
    jax.tree.map(lambda x: place(x, parallel.replicated), variables),
    place(images, parallel.by_group),
    label_size if any(label_size) else full,
  )


def facts(
  program: Program, save: Callable[[dict[str, Any]], None] = lambda _: None
) -> dict[str, Any]:
  """Compiles a program and returns what is known of it.

  Args:
    program: the program.
    save: is given the facts that are known before XLA's passes begin.

  Returns:
    JSON-ready facts; 'error' instead of the compiler's with an error.
  """
  mesh = mesh_of(program)
  known: dict[str, Any] = program._asdict() | {'versions': versions()}
  begin = time.perf_counter()
  with _traced_for(program):
    traced = trace(program, mesh)
    lowered = traced.lower()
  operations = flops.of(traced.jaxpr.jaxpr)
  if program.part == EVALUATION:
    operations //= program.devices  # of global arrays
  text = lowered.as_text(dialect='hlo')
  known |= dict(
    stage='traced',
    trace_seconds=round(time.perf_counter() - begin, 1),
    lines=text.count('\n'),
    tflops=operations / 1e12,
    collectives_traced=_collectives(text),
  )
  save(known)
  begin = time.perf_counter()
  try:
    compiled = lowered.compile()
  except jax.errors.JaxRuntimeError as error:
    # Such as RESOURCE_EXHAUSTED, with the sizes in the first line.
    return known | dict(stage='failed', error=str(error).splitlines()[0])
  known['compile_seconds'] = round(time.perf_counter() - begin, 1)
  memory = targets.memory(compiled, mesh)
  known |= from_text(compiled.as_text()) | memory | {'stage': 'compiled'}
  own = compiled.cost_analysis() or {}  # none of a GPU that is not there
  known['xla'] = {
    name: own[name] for name in ('flops', 'bytes accessed') if name in own
  }
  return known


def from_text(text: str) -> dict[str, Any]:
  """Returns the facts in a program's HLO after XLA's passes."""
  kinds, places, kernels = hlo_traffic.count(text)
  return dict(
    traffic_gb=sum(kinds.values()) / 1e9,
    traffic_kinds=_largest_gb(kinds, 8),
    traffic_places=_largest_gb(places, 20),
    kernels=kernels,
    collectives=_collectives(text),
    loops_without_count=hlo.loops_without_count(text),
  )


def _largest_gb(sizes: Mapping[str, int], count: int) -> dict[str, float]:
  names = sorted(sizes, key=lambda name: -sizes[name])[:count]
  return {name: round(sizes[name] / 1e9, 3) for name in names}


def from_dump(folder: pathlib.Path) -> dict[str, Any] | None:
  """Returns the facts of a program whose kernels are not compiled yet.

  Args:
    folder: of --xla_dump_to.

  Returns:
    None as long as the buffers are not assigned.
  """
  # A GPU's files are '*.gpu_after_optimizations...', a TPU's lack the 'gpu_'.
  reports = _largest(folder, '*after_optimizations-memory-usage-report.txt')
  texts = _largest(folder, '*after_optimizations.txt')
  if not reports or not texts:
    return None
  totals = dict(_TOTAL.findall(reports.read_text()))
  if not totals:  # being written
    return None
  if 'gpu_' not in reports.name:  # the others are memory inside of a TPU's core
    totals = {'0': totals['0']}
  return from_text(texts.read_text()) | dict(
    stage='buffers', peak_gib=round(sum(map(int, totals.values())) / _GIB, 3)
  )


def _largest(folder: pathlib.Path, pattern: str) -> pathlib.Path | None:
  found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_size)
  return found[-1] if found else None


def bound(known: Mapping[str, Any]) -> dict[str, float]:
  """Returns `bounds.seconds` of the facts of a program.

  Args:
    known: with the stage 'buffers' or 'compiled'.
  """
  config = load(Program(*(known[name] for name in Program._fields)))
  return bounds.seconds(
    chips.CHIPS[known['device']],
    flops=known['tflops'] * 1e12,
    traffic=known['traffic_gb'] * 1e9,
    precision=bounds.precision(config.model),
    reduced=sum(x['bytes'] for x in known['collectives_traced'].values()),
    devices=known['devices'],
  )


def _collectives(text: str) -> dict[str, dict[str, int]]:
  return {kind: x._asdict() for kind, x in hlo.collectives(text).items()}


@contextlib.contextmanager
def _traced_for(program: Program) -> Iterator[None]:
  if program.device == 'cpu':
    yield
  else:
    with targets.traced_for(program.device):
      yield


def versions() -> dict[str, str]:
  """Returns the versions of JAX and of the compilers that are installed."""
  found = {}
  for name in ('jax', 'jaxlib', 'libtpu', 'jax-cuda12-plugin'):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      found[name] = importlib.metadata.version(name)
  return found
