"""One train step on arrays: seconds, memory, FLOPs; prints one JSON line.

  python -m benchmarks.train_step --config=configs/streets/self_training.py
  python -m benchmarks.train_step --config=... --config.model.dtype=bfloat16
  python -m benchmarks.train_step --config=... --topology=rtx_3090

The batch is random arrays of the config's crop; neither images nor TensorFlow
are needed. With --topology the program is compiled for a device that need not
be there: memory and FLOPs, no time. An NVIDIA card needs `jax[cuda12]` and no
driver, TPUs the `libtpu` that `pip show jax` names under its extra `tpu`.
Memory of a program for a CPU says nothing about accelerators: not printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import contextlib
import json
import resource
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import flops
from benchmarks import random_batches
from benchmarks import targets
from uda_jax import cli
from uda_jax import configs
from uda_jax import flag_values
from uda_jax import methods
from uda_jax import models
from uda_jax import parallel
from uda_jax.configs import overrides
from uda_jax.train import class_weights
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib


def build(
  config, mesh, sizes: random_batches.Sizes, num_classes: int, phase: int
):
  """Returns (update, maker of its state and its frozen network, batch).

  Args:
    config: the config of a run.
    mesh: the devices.
    sizes: of the images.
    num_classes: of the labels.
    phase: of the method.
  """
  config.model.weights = ''  # speed does not depend on them
  if config.model.get('reference'):
    config.model.reference.weights = ''
  if class_weights.formula(config.method):
    # Random labels have no frequencies; any numbers make the same program.
    config.method.class_weights = (1.0,) * num_classes
  network = models.build(config, num_classes)
  key = jax.random.key(0)
  shapes = jax.eval_shape(lambda: network.init(key, sizes.source))
  recipe = recipe_lib.make(config, num_classes, network, shapes.params)
  batch = random_batches.make(config, sizes, num_classes, phase)

  def init():
    variables = network.init(key, sizes.source)
    state = state_lib.init_state(
      recipe, variables, key, batch, num_steps=config.steps
    )
    # What the feature distance looks at.
    if not config.method.get('weight_distance', 0.0):
      return state, None
    if network.reference is not None:
      return state, network.reference.init(key, sizes.source)
    return state, variables

  update = step_lib.make_update(
    recipe,
    mesh,
    config.batch.groups,
    phase=phase,
    shard=config.parallel.shard,
  )
  return update, init, batch


def _on_mesh(tree, mesh, sharding):
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(
      jnp.shape(x), x.dtype, sharding=sharding(mesh)
    ),
    tree,
  )


def trace(update, init, batch, mesh, shard: str = 'none') -> jax.stages.Traced:
  """Returns the step as a program for the devices of a mesh."""
  state, frozen = jax.eval_shape(init)
  state = jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    state,
    parallel.state_sharding(state, mesh, shard),
  )
  return jax.jit(update, donate_argnums=0).trace(
    state,
    _on_mesh(batch, mesh, parallel.by_group),
    _on_mesh(frozen, mesh, parallel.replicated),
  )


def timed(
  args: argparse.Namespace, compiled, init, batch, mesh, shard: str = 'none'
) -> dict[str, float]:
  """Runs the step; returns seconds, images a second and what the CPU did.

  CPU seconds, of all threads, hold on a busy machine too.
  """
  state, frozen = jax.eval_shape(init)
  state, frozen = jax.jit(
    init,
    out_shardings=(
      parallel.state_sharding(state, mesh, shard),
      parallel.replicated(mesh),
    ),
  )()
  batch = parallel.to_global(batch, mesh)
  seconds, cpu, faults = [], [], []
  page_faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  for i in range(args.warmup + args.steps):
    begin = time.perf_counter(), time.process_time(), page_faults()
    state, metrics = compiled(state, batch, frozen)
    jax.block_until_ready((state, metrics))
    if i >= args.warmup:
      seconds.append(time.perf_counter() - begin[0])
      cpu.append(time.process_time() - begin[1])
      faults.append(page_faults() - begin[2])
  if not np.isfinite(metrics['loss/total']):
    raise ValueError('the loss is not finite')
  median = statistics.median(seconds)
  images = 2 * batch.source.image.shape[0] * batch.source.image.shape[1]
  return dict(
    seconds_per_step=round(median, 5),
    min=round(min(seconds), 5),
    max=round(max(seconds), 5),
    images_per_second=round(images / median, 3),
    cpu_seconds_per_step=round(statistics.median(cpu), 5),
    page_faults_per_step=int(statistics.median(faults)),
  )


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.train_step', __doc__)
  group = result.add_argument_group('step')
  cli.add_config(group, 'whose step is timed')

  def whole(least: int) -> dict[str, Any]:
    return dict(type=flag_values.at_least(least), metavar='N')

  group.add_argument(
    '--steps', **whole(1), default=20, help='that are timed; default: 20'
  )
  group.add_argument(
    '--warmup', **whole(0), default=3, help='steps before these; default: 3'
  )
  group.add_argument(
    '--num_classes', **whole(1), default=19, help='of the labels; default: 19'
  )
  group.add_argument(
    '--crop',
    **whole(1),
    default=0,
    help="height and width of the images; default: the config's crop",
  )
  group.add_argument(
    '--phase',
    **whole(0),
    default=0,
    help="which of the method's phases (terms that start late); default: 0",
  )
  targets.add_topology(group)
  return result


def train_step(args: argparse.Namespace) -> None:
  """Compiles, runs, prints."""
  config = overrides.apply(configs.load(args.config), args.overrides)
  sizes = random_batches.image_sizes(config, args.crop)
  with contextlib.ExitStack() as stack:
    if args.topology:
      mesh = targets.absent_mesh(args.topology)
      stack.enter_context(targets.traced_for(args.topology))
    else:
      mesh = parallel.make_mesh(config.devices or None)
    update, init, batch = build(
      config, mesh, sizes, args.num_classes, args.phase
    )
    begin = time.perf_counter()
    traced = trace(update, init, batch, mesh, config.parallel.shard)
    compiled = traced.lower().compile()
    compile_seconds = time.perf_counter() - begin
  result = dict(
    framework=f'jax {jax.__version__}',
    device=targets.name(mesh),
    devices=mesh.size,
    method=methods.full_name(config.method),
    network=targets.network_name(config),
    crop=list(sizes.source),
    batch=[config.batch.groups, config.batch.group_size],
    dtype=config.model.dtype,
    remat=bool(config.model.get('remat', False)),
    phase=args.phase,
    compile_seconds=round(compile_seconds, 1),
    tflops=round(flops.of(traced.jaxpr.jaxpr) / 1e12, 4),
  )
  result |= targets.memory(compiled, mesh)
  if not args.topology:
    result |= timed(args, compiled, init, batch, mesh, config.parallel.shard)
  print(json.dumps(result))


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), train_step, argv)


if __name__ == '__main__':
  main()
