"""The supervised term on a labelled part of the target, on every method."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.methods import test_table
from tests.methods import test_vfm_uda
from uda_jax import methods
from uda_jax import types
from uda_jax.configs.blocks import common
from uda_jax.methods import self_training
from uda_jax.methods import target_labels

BASES = [name for name in methods.BASES if name != 'vfm_uda']


def _labeled(batch):
  """Other images and labels than those of the source."""
  return types.Source(batch.source.image[::-1], batch.source.label[::-1])


def _with_term(config, monkeypatch, weight=0.5):
  """What `test_table._losses` makes, with the term."""
  make = methods.make
  monkeypatch.setattr(
    methods,
    'make',
    lambda config, classes: methods.with_target_labels(
      config, classes, make(config, classes), weight
    ),
  )
  losses, params, batch = test_table._losses(config)
  monkeypatch.setattr(methods, 'make', make)
  return losses, params, batch._replace(labeled=_labeled(batch))


@pytest.mark.parametrize('base', BASES)
def test_every_base_gets_the_term(base, monkeypatch):
  config = test_table._block(base)
  plain, params, batch = test_table._losses(config)
  losses, _, labeled = _with_term(config, monkeypatch)
  terms = lambda f, batch: jax.eval_shape(f, params, batch).terms
  names = ('target_labels', 'target_labels_detail', 'target_labels_context')
  if base == 'lse':  # patches have labels
    patches = lambda batch: batch._replace(
      target=batch.target._replace(label=batch.source.label)
    )
    batch, labeled = patches(batch), patches(labeled)
  expected = names if base == 'hrda' else names[:1]
  found = set(terms(losses, labeled)) - set(terms(plain, batch))
  assert found <= set(expected) and names[0] in found


def test_vfm_uda_gets_the_term(monkeypatch):
  make = methods.make
  monkeypatch.setattr(
    methods,
    'make',
    lambda config, classes: methods.with_target_labels(
      config, classes, make(config, classes), 1.0
    ),
  )
  network = test_vfm_uda._network()
  batch = test_table._batch('vfm_uda')
  batch = batch._replace(labeled=_labeled(batch))
  losses, params = test_vfm_uda._losses(test_vfm_uda._config(), network, batch)
  assert 'target_labels' in jax.eval_shape(losses, params).terms


def test_it_is_the_cross_entropy_of_those_images(monkeypatch):
  config = test_table._block('source_only')
  losses, params, batch = _with_term(config, monkeypatch)
  term = losses(params, batch).terms['target_labels']
  # The same images as the source of a run on the source alone.
  alone, *_ = test_table._losses(config)
  own = alone(params, batch._replace(source=batch.labeled, labeled=None))
  assert term.weight == 0.5
  np.testing.assert_allclose(term.value, own.terms['source'].value, rtol=1e-6)


@pytest.mark.parametrize('label', [255, 0])
def test_degenerate_labels_are_finite(label, monkeypatch):
  losses, params, batch = _with_term(
    test_table._block('self_training'), monkeypatch
  )
  full = jnp.full_like(batch.labeled.label, label)
  batch = batch._replace(labeled=batch.labeled._replace(label=full))

  @jax.jit
  @jax.grad
  def gradient(params):
    terms = losses(params, batch).terms
    return terms['target_labels'].value

  found = jax.tree.leaves(gradient(params))
  assert all(np.isfinite(x).all() for x in found)
  assert any(x.any() for x in found) == (label == 0)


def test_an_auxiliary_head_learns_too():
  config = common.source_only()
  config.weight_aux = 0.4
  logits = jnp.zeros((1, 4, 4, 3))
  outputs = types.Outputs(logits, logits)
  label = jnp.zeros((1, 4, 4), jnp.int32)
  data = self_training.Labeled(logits, label)
  terms = target_labels.segment(config, 'x', outputs, data, 0.5)
  assert {name: t.weight for name, t in terms.items()} == {
    'x': 0.5,
    'x_aux': 0.2,
  }
