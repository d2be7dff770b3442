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

from collections.abc import Callable
import contextlib
import json
import statistics
import time

from absl import app
from absl import flags
import jax
import jax.numpy as jnp

from benchmarks import flops
from benchmarks import targets
from uda_jax import models
from uda_jax import parallel
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import convnets
from uda_jax.ops import resize


def _network(encoder: str, head: str):
  model = common.daformer_network(encoder=encoder)
  model.update(head=head, dilations=(6, 12))
  return model


# Name -> config.model.
NETWORKS: dict[str, Callable] = {
  'compact': common.compact,
  'efficientnet_lite0': common.efficientnet_lite0,
  'fcn8s_vgg': convnets.fcn8s_vgg,
  'deeplab_v2_r101': convnets.deeplab_v2,
  **{
    f'mit_b{i}+daformer': lambda i=i: common.daformer_network(
      encoder=f'mit_b{i}'
    )
    for i in range(6)
  },
  'resnet101_v1c+dlv2': lambda: _network('resnet101_v1c', 'dlv2'),
  'dinov2_b+daformer': lambda: _network('dinov2_b', 'daformer'),
}

_NETWORKS = flags.DEFINE_list('networks', list(NETWORKS), 'Which of them.')
_CROP = flags.DEFINE_integer('crop', 512, 'Height and width of the images.')
_BATCH = flags.DEFINE_integer('batch', 2, 'Images of a pass.')
_CLASSES = flags.DEFINE_integer('num_classes', 19, 'Classes of the logits.')
_DTYPE = flags.DEFINE_enum(
  'dtype', 'float32', ['float32', 'bfloat16'], 'Compute dtype.'
)
_REMAT = flags.DEFINE_bool('remat', False, 'Recompute blocks.')
_REPEATS = flags.DEFINE_integer('repeats', 10, 'Passes that are timed.')
_TOPOLOGY = flags.DEFINE_string(
  'topology',
  '',
  'Compile for this device, which need not be there, instead '
  'of running: rtx_3090, or TPUs such as v5e:2x2.',
)


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
  """Returns the compiled function and the seconds that this took."""
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


def _seconds(compiled, variables, image) -> float:
  """The median time of a pass."""
  times = []
  for _ in range(_REPEATS.value + 2):
    begin = time.perf_counter()
    jax.block_until_ready(compiled(variables, image))
    times.append(time.perf_counter() - begin)
  return round(statistics.median(times[2:]), 5)


def measure(name: str, mesh) -> dict:
  """Everything about one network."""
  size = (_CROP.value, _CROP.value)
  model = NETWORKS[name]()
  model.weights, model.dtype = '', _DTYPE.value
  if 'remat' in model:
    model.remat = _REMAT.value
  config = common.run(steps=1)
  config.model = model
  network = models.build(config, _CLASSES.value)
  init = lambda: network.init(jax.random.key(0), size)
  variables = jax.eval_shape(init)
  shape = lambda batch: jax.ShapeDtypeStruct((batch, *size, 3), jnp.float32)
  forward, both = make_passes(network, size)
  training, compile_seconds = _compile(
    both, variables, shape(_BATCH.value), mesh
  )
  result = dict(
    network=name,
    device=targets.name(mesh),
    crop=list(size),
    batch=_BATCH.value,
    dtype=_DTYPE.value,
    remat=bool(model.get('remat', False)),
    compile_seconds=compile_seconds,
    parameters=sum(x.size for x in jax.tree.leaves(variables.params)),
    forward_gflops=round(flops.count(forward, variables, shape(1)) / 1e9, 1),
  )
  if found := targets.memory(training, mesh):
    result['activations_gib'] = found['activations_gib']
  if not _TOPOLOGY.value:
    variables = init()
    image = jax.random.normal(jax.random.key(1), shape(_BATCH.value).shape)
    forward, _ = _compile(forward, variables, image, mesh)
    result |= dict(
      forward_seconds=_seconds(forward, variables, image),
      forward_backward_seconds=_seconds(training, variables, image),
    )
  return result


def main(argv):
  """Prints a line a network."""
  del argv
  unknown = sorted(set(_NETWORKS.value) - set(NETWORKS))
  if unknown:
    raise app.UsageError(
      f'--networks: expected some of {list(NETWORKS)}, got {unknown[0]!r}'
    )
  with contextlib.ExitStack() as stack:
    mesh = parallel.make_mesh(1)
    if _TOPOLOGY.value:
      mesh = targets.absent_mesh(_TOPOLOGY.value)
      stack.enter_context(targets.traced_for_accelerators())
    for name in _NETWORKS.value:
      print(json.dumps(measure(name, mesh)), flush=True)


if __name__ == '__main__':
  app.run(main)
