"""The smallest network, batches and configs that the tests train with."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import common
from uda_jax.methods import self_training


def network(num_classes: int, channels: int = 3) -> types.Network:
  """A pixelwise linear network with a normalisation and a dead parameter."""

  def init(key, image_size):
    del image_size
    kernel = 0.1 * jax.random.normal(key, (channels, num_classes))
    return types.Variables(
      {'kernel': kernel, 'norm': jnp.ones(channels), 'unused': jnp.ones(2)},
      {'mean': jnp.zeros(channels)},
    )

  def forward(
    params,
    batch_stats,
    image,
    *,
    key=None,
    use_running_average=False,
    detail=None,
  ):
    del key, detail
    mean = image.mean((0, 1, 2))
    if use_running_average:
      mean = batch_stats['mean']
    running = {'mean': 0.9 * batch_stats['mean'] + 0.1 * mean}
    logits = ((image - mean) * params['norm']) @ params['kernel']
    return types.Outputs(logits), running

  return types.Network(
    init,
    forward,
    lambda pixels: pixels.astype(jnp.float32) / 64 - 2,
    lambda image: (image + 2) * 64,
  )


def network_with_heads(num_classes: int) -> types.Network:
  """That network with a map, and PiPa's heads, each of them one matrix."""
  base = network(num_classes)

  def init(key, image_size):
    variables = base.init(key, image_size)
    heads = {
      name: jax.random.normal(jax.random.fold_in(key, i), (3, 4))
      for i, name in enumerate(('proj', 'cls', 'project'))
    }
    # A scale of the map, on which the patches' vectors depend.
    return variables._replace(
      params=variables.params | heads | {'scale': jnp.ones(3)}
    )

  def forward(params, stats, image, **switches):
    outputs, stats = base.forward(params, stats, image, **switches)
    x = image * params['scale']
    return outputs._replace(features=(x,), maps={'fused': x}), stats

  def head(name, params, stats, features, **switches):
    del switches
    x = features[0] if isinstance(features, tuple) else features
    x = x @ params[name]
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True), stats

  return base._replace(init=init, forward=forward, head=head)


def batch(number: int, groups: int, num_classes: int) -> types.Batch:
  """Random groups of 2 + 2 images of 8 x 8 pixels."""
  random = np.random.default_rng(number)
  shape = (groups, 2, 8, 8)
  image = lambda: random.integers(0, 256, (*shape, 3)).astype(np.float32)
  return types.Batch(
    types.Source(
      image(), random.integers(0, num_classes, shape, dtype=np.int32)
    ),
    types.Target(image(), np.ones(shape, bool)),
  )


def group(num_classes: int) -> types.Batch:
  """A random group of 2 + 2 images, as a method sees it."""
  return jax.tree.map(lambda x: jnp.asarray(x[0]), batch(0, 1, num_classes))


def state(
  student: types.Variables, teacher: types.Variables | None = None
) -> types.TrainState:
  """A state of step 0; default teacher: the student."""
  zero = jnp.zeros((), jnp.int32)
  return types.TrainState(
    step=zero,
    student=student,
    teacher=teacher or student,
    opt_state=None,
    method_state=None,
    round=types.Round(zero, zero, zero + 10),
    nonfinite=zero,
    rng=jax.random.key(2),
  )


def place(
  state: types.TrainState, mesh, shard: str = 'none'
) -> types.TrainState:
  """Puts a state where the train step returns it, or it compiles twice."""
  return jax.device_put(state, parallel.state_sharding(state, mesh, shard))


def adamw() -> ml_collections.ConfigDict:
  """AdamW that decays everything."""
  return ml_collections.ConfigDict(
    dict(
      name='adamw',
      weight_decay=0.1,
      b1=0.9,
      b2=0.999,
      eps=1e-8,
      clip_norm=0.0,
      groups=(),
      frozen=(),
    )
  )


def self_training_config() -> ml_collections.ConfigDict:
  """The released choices, with a threshold that a tiny network reaches."""
  return common.self_training(threshold=0.4)


def self_training_method(num_classes: int) -> types.Method:
  """Self-training without colour jitter, which takes long to compile."""
  config = self_training_config()
  operators = self_training.operators(config, num_classes)
  return self_training.make(
    config, operators._replace(augment=lambda key, pixels: pixels)
  )
