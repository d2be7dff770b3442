"""The methods on a tiny network: what they compute, and degenerate batches."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests import tiny
from uda_jax import methods
from uda_jax.methods import self_training
from uda_jax.methods import source_only

NUM_CLASSES = 4


def _state(network):
  student = network.init(jax.random.key(0), (8, 8))
  teacher = network.init(jax.random.key(1), (8, 8))
  return tiny.state(student, teacher)


def _losses(method, batch):
  """The losses of one group and the gradient of their sum."""
  network = tiny.network(NUM_CLASSES)
  state = _state(network)

  @jax.jit
  @jax.value_and_grad
  def total(params):
    losses = method.loss(params, state, batch, jax.random.key(3), network, None)
    return sum(t.weight * t.value for t in losses.terms.values())

  losses = method.loss(
    state.student.params, state, batch, jax.random.key(3), network, None
  )
  return losses, *total(state.student.params)


def _group():
  return tiny.group(NUM_CLASSES)


def _source_method():
  config = ml_collections.ConfigDict(
    dict(
      name='source_only',
      augment=False,
      weight_aux=0.0,
      average='valid',
      class_weights=(),
    )
  )
  return source_only.make(config, source_only.operators(config))


def test_source_only_is_the_mean_cross_entropy():
  batch = _group()
  losses, value, _ = _losses(_source_method(), batch)
  network = tiny.network(NUM_CLASSES)
  variables = _state(network).student
  outputs, stats = network.forward(
    variables.params,
    variables.batch_stats,
    network.normalize(batch.source.image),
  )
  log_prob = jax.nn.log_softmax(outputs.logits)
  expected = -np.mean(
    np.take_along_axis(
      np.asarray(log_prob), np.asarray(batch.source.label)[..., None], -1
    )
  )
  np.testing.assert_allclose(value, expected, rtol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, losses.student_stats, stats)


def test_source_only_without_any_label_is_zero():
  batch = _group()
  batch = batch._replace(
    source=batch.source._replace(label=jnp.full_like(batch.source.label, 255))
  )
  _, value, gradient = _losses(_source_method(), batch)
  assert value == 0
  assert all(not np.any(g) for g in jax.tree.leaves(gradient))


def _paste_nothing():
  return self_training.Operators(
    choose_classes=lambda key, label: jnp.zeros(label.shape, bool),
    augment=lambda key, pixels: pixels,
  )


def test_self_training_in_its_parts():
  batch, config = _group(), tiny.self_training_config()
  network = tiny.network(NUM_CLASSES)
  state = _state(network)
  image = network.normalize(batch.target.image)
  logits = network.forward(
    state.teacher.params, state.teacher.batch_stats, image
  )[0].logits
  confidence = np.asarray(jax.nn.softmax(logits).max(-1))
  config.threshold = float(np.quantile(confidence, 0.3))
  losses, *_ = _losses(self_training.make(config, _paste_nothing()), batch)
  # Nothing is pasted: the mixture is the target with the teacher's labels.
  share = np.mean(confidence >= config.threshold)
  np.testing.assert_allclose(
    losses.metrics['pseudo/confident_fraction'], share, atol=0.02
  )
  # Statistics pass through the network without entering a tiny net's logits.
  log_prob = jax.nn.log_softmax(
    network.forward(state.student.params, losses.student_stats, image)[0].logits
  )
  picked = np.take_along_axis(
    np.asarray(log_prob), np.asarray(logits.argmax(-1))[..., None], -1
  )
  np.testing.assert_allclose(
    losses.terms['mixed'].value,
    -losses.metrics['pseudo/confident_fraction'] * picked.mean(),
    rtol=1e-5,
  )


@pytest.mark.parametrize(
  'case', ['all ignored', 'no confident pixel', 'nothing trusted', 'one class']
)
def test_degenerate_batches_are_finite(case):
  batch, config = _group(), tiny.self_training_config()
  source, target = batch.source, batch.target
  if case == 'all ignored':
    source = source._replace(label=jnp.full_like(source.label, 255))
  elif case == 'one class':
    source = source._replace(label=jnp.zeros_like(source.label))
  elif case == 'no confident pixel':
    config.threshold = 1.5
  else:
    target = target._replace(valid_mask=jnp.zeros_like(target.valid_mask))
  batch = batch._replace(source=source, target=target)
  method = methods.make(config, NUM_CLASSES)
  losses, value, gradient = _losses(method, batch)
  assert np.isfinite(value)
  assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(gradient))
  if case == 'all ignored':
    assert losses.terms['source'].value == 0


def test_without_a_confident_pixel_only_pasted_pixels_count():
  batch, config = _group(), tiny.self_training_config()
  config.threshold = 1.5
  losses, *_ = _losses(self_training.make(config, _paste_nothing()), batch)
  assert losses.terms['mixed'].value == 0


def test_unknown_method():
  config = ml_collections.ConfigDict(dict(name='nope', add=()))
  with pytest.raises(ValueError, match="config.method.name: .*got 'nope'"):
    methods.make(config, NUM_CLASSES)
