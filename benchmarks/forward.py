"""The networks: parameters, FLOPs, memory, time; one JSON line each.

  python -m benchmarks.forward --networks=mit_b5+daformer --crop=512
  python -m benchmarks.forward --crop=512 --topology=rtx_3090   # all of them

FLOPs (two a multiply-add) are those of a forward pass of one image. Memory is
what a forward and backward pass of --batch images needs beside parameters and
gradients. With --topology the programs are compiled for a device that need not
be there (see benchmarks/train_step.py), without time; on a CPU there is time,
but no memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import contextlib
import json
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import flops
from benchmarks import targets
from uda_jax import cli
from uda_jax import flag_values
from uda_jax import models
from uda_jax import parallel
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import convnets
from uda_jax.configs.blocks import networks
from uda_jax.ops import resize


def _network(encoder: str, head: str):
  model = networks.daformer_network(encoder=encoder)
  model.update(head=head, dilations=(6, 12))
  return model


def _lite(number: int):
  model = networks.efficientnet_lite0()
  model.name = f'efficientnet_lite{number}'
  return model


# Name -> config.model.
NETWORKS: dict[str, Callable] = {
  'compact': networks.compact,
  **{f'efficientnet_lite{i}': lambda i=i: _lite(i) for i in range(3)},
  'fcn8s_vgg': convnets.fcn8s_vgg,
  'deeplab_v2_r101': convnets.deeplab_v2,
  **{
    f'mit_b{i}+daformer': lambda i=i: networks.daformer_network(
      encoder=f'mit_b{i}'
    )
    for i in range(6)
  },
  'resnet101_v1c+dlv2': lambda: _network('resnet101_v1c', 'dlv2'),
  'dinov2_b+daformer': lambda: _network('dinov2_b', 'daformer'),
}


def make_passes(network, size: tuple[int, int]):
  """Returns (forward, forward and backward) of (variables, image)."""

  def forward(variables, image):
    outputs, _ = network.forward(
      variables.params, variables.batch_stats, image, use_running_average=True
    )
    return outputs.logits

  def both(variables, image):
    def loss(params):
      outputs, stats = network.forward(params, variables.batch_stats, image)
      logits = resize.bilinear(outputs.logits.astype(jnp.float32), size)
      return jax.nn.logsumexp(logits, -1).mean(), stats

    return jax.value_and_grad(loss, has_aux=True)(variables.params)

  return forward, both


def _compile(function, variables, image, mesh):
  """Returns the compiled function and the seconds of compilation."""
  begin = time.perf_counter()
  on_mesh = lambda tree: jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(
      x.shape, x.dtype, sharding=parallel.replicated(mesh)
    ),
    tree,
  )
  compiled = (
    jax.jit(function).lower(on_mesh(variables), on_mesh(image)).compile()
  )
  return compiled, round(time.perf_counter() - begin, 1)


def _seconds(compiled, variables, image, repeats: int) -> float:
  """Returns the median time of a pass."""
  times = []
  for _ in range(repeats + 2):
    begin = time.perf_counter()
    jax.block_until_ready(compiled(variables, image))
    times.append(time.perf_counter() - begin)
  return round(statistics.median(times[2:]), 5)


def measure(args: argparse.Namespace, name: str, mesh) -> dict:
  """Returns the content of the JSON line of one network."""
  size = (args.crop, args.crop)
  model = NETWORKS[name]()
  model.weights, model.dtype = '', args.dtype
  if 'remat' in model:
    model.remat = args.remat
  config = common.run(steps=1)
  config.model = model
  network = models.build(config, args.num_classes)
  init = lambda: network.init(jax.random.key(0), size)
  variables = jax.eval_shape(init)
  shape = lambda batch: jax.ShapeDtypeStruct((batch, *size, 3), jnp.float32)
  forward, both = make_passes(network, size)
  training, compile_seconds = _compile(both, variables, shape(args.batch), mesh)
  result = dict(
    network=name,
    device=targets.name(mesh),
    crop=list(size),
    batch=args.batch,
    dtype=args.dtype,
    remat=bool(model.get('remat', False)),
    compile_seconds=compile_seconds,
    parameters=sum(x.size for x in jax.tree.leaves(variables.params)),
    forward_gflops=round(flops.count(forward, variables, shape(1)) / 1e9, 1),
  )
  if found := targets.memory(training, mesh):
    result['activations_gib'] = found['activations_gib']
  if not args.topology:
    variables = init()
    image = jax.random.normal(jax.random.key(1), shape(args.batch).shape)
    forward, _ = _compile(forward, variables, image, mesh)
    result |= dict(
      forward_seconds=_seconds(forward, variables, image, args.repeats),
      forward_backward_seconds=_seconds(
        training, variables, image, args.repeats
      ),
    )
  return result


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.forward', __doc__)
  group = result.add_argument_group('networks')
  group.add_argument(
    '--networks',
    type=flag_values.names_of(NETWORKS),
    default=tuple(NETWORKS),
    metavar='NAME,NAME,...',
    help=f'default: all of {", ".join(NETWORKS)}',
  )
  targets.add_topology(group)
  targets.add_timing(group)
  count: dict[str, Any] = dict(type=flag_values.at_least(1), metavar='N')
  group.add_argument(
    '--crop', **count, default=512, help='height and width; default: 512'
  )
  group.add_argument(
    '--batch', **count, default=2, help='images of a pass; default: 2'
  )
  group.add_argument(
    '--num_classes', **count, default=19, help='of the logits; default: 19'
  )
  group.add_argument(
    '--remat', action='store_true', help='recompute blocks in backward passes'
  )
  return result


def forward(args: argparse.Namespace) -> None:
  """Prints one line for each network."""
  with contextlib.ExitStack() as stack:
    mesh = parallel.make_mesh(1)
    if args.topology:
      mesh = targets.absent_mesh(args.topology)
      stack.enter_context(targets.traced_for(args.topology))
    for name in args.networks:
      print(json.dumps(measure(args, name, mesh)), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), forward, argv)


if __name__ == '__main__':
  main()
