"""Shared parts of the tests of PixMatch and EHTDI."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tests import tiny
from uda_jax import labels
from uda_jax import parallel
from uda_jax import types
from uda_jax.train import optim
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib
from uda_jax.train import teacher as teacher_lib

NUM_CLASSES = 4


def network(aux_head: bool = True) -> types.Network:
  """The tiny network, with a second head of its own and a coarser map."""
  base = tiny.network(NUM_CLASSES)

  def init(key, image_size):
    variables = base.init(key, image_size)
    kernel = 0.1 * jax.random.normal(jax.random.key(7), (3, NUM_CLASSES))
    return variables._replace(params=variables.params | {'aux_kernel': kernel})

  def forward(params, batch_stats, image, **kwargs):
    outputs, stats = base.forward(params, batch_stats, image, **kwargs)
    low = outputs.logits[:, ::2, ::2]
    outputs = outputs._replace(maps={'low_logits': low})
    if aux_head:
      outputs = outputs._replace(aux_logits=image @ params['aux_kernel'])
    return outputs, stats

  return base._replace(init=init, forward=forward)


def group() -> types.Batch:
  """One group of 2 + 2 images."""
  return tiny.group(NUM_CLASSES)


def degenerate(name: str, batch: types.Batch) -> types.Batch:
  """A group with nothing, or with one thing only, to learn from."""
  source, target = batch.source, batch.target
  if name == 'all ignored':
    source = source._replace(
      label=jnp.full_like(source.label, labels.IGNORE_LABEL)
    )
  elif name == 'one class':
    source = source._replace(label=jnp.full_like(source.label, 3))
  elif name == 'nothing trusted':
    target = target._replace(valid_mask=jnp.zeros_like(target.valid_mask))
  elif name == 'half trusted':
    target = target._replace(
      valid_mask=target.valid_mask.at[:, :, :4].set(False)
    )
  elif name == 'flat images':
    source = source._replace(image=jnp.full_like(source.image, 128))
    target = target._replace(image=jnp.full_like(target.image, 128))
  else:
    raise ValueError(name)
  return batch._replace(source=source, target=target)


DEGENERATE = (
  'all ignored',
  'one class',
  'nothing trusted',
  'half trusted',
  'flat images',
)


def recipe(method: types.Method, aux_head: bool = True) -> recipe_lib.Recipe:
  """A step with AdamW and a moving average for evaluation."""
  made = network(aux_head)
  params = made.init(jax.random.key(0), (8, 8)).params
  return recipe_lib.Recipe(
    method=method,
    network=made,
    optimizer=optim.make(tiny.adamw(), params),
    learning_rate=lambda state: jnp.asarray(1e-2),
    teacher=teacher_lib.Rule(0.9, ramp=False, copy_stats_every=2),
  )


def init(made: recipe_lib.Recipe, groups: int = 1) -> step_lib.TrainState:
  """The state before the first step."""
  variables = made.network.init(jax.random.key(1), (8, 8))
  return state_lib.init_state(
    made,
    variables,
    jax.random.key(2),
    tiny.batch(0, groups, NUM_CLASSES),
    num_steps=10,
  )


def weights(
  method: types.Method, aux_head: bool = True, phase: int = 0
) -> dict[str, float]:
  """The terms' names and weights; nothing is computed."""
  made = recipe(method, aux_head)
  state = init(made)
  found = {}

  def trace(batch):
    terms = method.loss(
      state.student.params,
      state,
      batch,
      jax.random.key(3),
      made.network,
      None,
      phase=phase,
    ).terms
    found.update({name: float(term.weight) for name, term in terms.items()})

  jax.eval_shape(trace, group())
  return found


def gradient(method: types.Method, aux_head: bool = True):
  """Returns the compiled f(batch) -> (Losses, gradient of their sum)."""
  made = recipe(method, aux_head)
  state = init(made)

  def total(params, batch):
    losses = method.loss(
      params, state, batch, jax.random.key(3), made.network, None
    )
    return sum(t.weight * t.value for t in losses.terms.values()), losses

  both = jax.jit(jax.grad(total, has_aux=True))
  return lambda batch: both(state.student.params, batch)[::-1]


def assert_finite(losses: types.Losses, grads) -> None:
  """No NaN and no infinity in terms and gradient."""
  for name, term in losses.terms.items():
    assert np.isfinite(term.value), name
  assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(grads))


def run_on(method: types.Method, devices: int, steps: int = 1):
  """Steps of four groups; returns the last state and the losses."""
  made = recipe(method)
  mesh = parallel.make_mesh(devices)
  train_step = step_lib.make_train_step(made, mesh, 4)
  state, losses = init(made, 4), []
  for number in range(steps):
    batch = parallel.to_global(tiny.batch(number, 4, NUM_CLASSES), mesh)
    state, metrics = train_step(state, batch, None)
    losses.append(float(metrics['loss/total']))
  return dataclasses.replace(jax.device_get(state), rng=None), losses


def assert_same_on_devices(method: types.Method) -> None:
  """One device and four do the same."""
  (state, losses), (other, others) = (run_on(method, n) for n in (1, 4))
  np.testing.assert_allclose(others, losses, rtol=1e-5)
  for part in ('student', 'teacher'):
    for a, b in zip(
      *(jax.tree.leaves(getattr(s, part)) for s in (state, other))
    ):
      np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)
