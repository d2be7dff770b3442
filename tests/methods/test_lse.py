"""LSE's step on a tiny network: its terms, its phases, degenerate labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from uda_jax import labels
from uda_jax import losses as losses_lib
from uda_jax import types
from uda_jax.configs.blocks import lse as blocks
from uda_jax.methods import lse

NUM_CLASSES = 4
NETWORK = tiny.network(NUM_CLASSES)


def _state():
  zero = jnp.zeros((), jnp.int32)
  return types.TrainState(
    step=zero,
    student=NETWORK.init(jax.random.key(0), (8, 8)),
    teacher=None,
    opt_state=None,
    method_state=None,
    round=types.Round(zero, zero, zero),
    nonfinite=zero,
    rng=jax.random.key(1),
  )


def _batch(label):
  batch = jax.tree.map(
    lambda x: jnp.asarray(x[0, :1]), tiny.batch(0, 1, NUM_CLASSES)
  )
  return batch._replace(target=batch.target._replace(label=label))


def _losses(batch, phase=0, **fields):
  config = blocks.method()
  config.update(fields)
  method, state = lse.make(config), _state()

  def total(params):
    losses = method.loss(
      params, state, batch, jax.random.key(2), NETWORK, None, phase=phase
    )
    return sum(t.weight * t.value for t in losses.terms.values()), losses

  (value, losses), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(
    state.student.params
  )
  return value, losses, gradient


def _label():
  return jnp.asarray(
    np.random.default_rng(0).integers(0, NUM_CLASSES, (1, 8, 8), dtype=np.int32)
  )


def test_terms_are_those_of_two_passes_in_order():
  batch = _batch(_label())
  value, losses, _ = _losses(batch)
  params, stats = _state().student
  logits = {}
  for name, data in (('source', batch.source), ('target', batch.target)):
    outputs, stats = NETWORK.forward(
      params, stats, NETWORK.normalize(data.image)
    )
    logits[name] = outputs.logits
    np.testing.assert_allclose(
      losses.terms[name].value,
      losses_lib.cross_entropy(outputs.logits, data.label, average='valid'),
      rtol=1e-5,
    )
  focal = losses_lib.focal_term(logits['target'], batch.target.label, gamma=3.0)
  np.testing.assert_allclose(
    value,
    losses.terms['source'].value + losses.terms['target'].value + 0.1 * focal,
    rtol=1e-5,
  )
  # The target is the second image that the statistics see.
  np.testing.assert_allclose(
    losses.student_stats['mean'], stats['mean'], rtol=1e-5
  )


def test_no_focal_term_and_kept_statistics():
  _, losses, _ = _losses(_batch(_label()), weight_focal=0.0)
  assert set(losses.terms) == {'source', 'target'}


def test_steps_on_the_source_alone_need_no_labels():
  value, losses, _ = _losses(_batch(None), phase=0, adapt_from=5)
  assert set(losses.terms) == {'source'} and np.isfinite(value)
  _, losses, _ = _losses(_batch(_label()), phase=1, adapt_from=5)
  assert set(losses.terms) == {'source', 'target', 'focal'}


@pytest.mark.parametrize('focal_of', ['pixel', 'mean'])
@pytest.mark.parametrize('label', [labels.IGNORE_LABEL, 0])
def test_one_class_or_none_is_finite(label, focal_of):
  value, losses, gradient = _losses(
    _batch(jnp.full((1, 8, 8), label, jnp.int32)), focal_of=focal_of
  )
  assert np.isfinite(value)
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))
  assert losses.metrics['pseudo/labeled_fraction'] == (label == 0)
  if label:
    assert losses.terms['target'].value == losses.terms['focal'].value == 0
