"""PixMatch on a tiny network: its terms, its quirks, degenerate groups."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny_two_heads as tiny
from uda_jax import labels
from uda_jax.configs.blocks import pixmatch as blocks
from uda_jax.methods import pixmatch


def _config(**fields):
  config = blocks.method()
  config.update(
    crop_size=(6, 6),
    weight_fourier=0.2,
    weight_cutmix=0.3,
    fourier_fraction=0.3,
  )
  config.update(fields)
  return config


def _method(**fields):
  config = _config(**fields)
  return pixmatch.make(config, pixmatch.operators(config))


def test_terms_and_weights():
  assert tiny.weights(_method()) == pytest.approx(
    {
      'source_main': 1.0,
      'source_aux': 0.1,
      'augment_main': 0.1,
      'augment_aux': 0.01,
      'fourier_main': 0.2,
      'fourier_aux': 0.02,
      'cutmix_main': 0.3,
      'cutmix_aux': 0.03,
    }
  )
  assert set(tiny.weights(_method(weight_augment=0.0, weight_cutmix=0.0))) == {
    'source_main',
    'source_aux',
    'fourier_main',
    'fourier_aux',
  }


def test_degenerate_groups_are_finite():
  run = tiny.gradient(_method(source_fourier=True, blur=0.5))
  for name in tiny.DEGENERATE:
    batch = tiny.degenerate(name, tiny.group())
    losses, grads = run(batch)
    tiny.assert_finite(losses, grads)
    assert np.any(grads['aux_kernel'] != 0)
    # Untrusted pixels have no label, here all the others have one.
    np.testing.assert_array_equal(
      losses.panels['pseudo_label'] != labels.IGNORE_LABEL,
      batch.target.valid_mask,
    )
    if name == 'all ignored':
      assert losses.terms['source_main'].value == 0
    if name == 'nothing trusted':
      assert losses.terms['fourier_main'].value == 0


def test_without_a_confident_pixel_only_the_source_teaches():
  losses, grads = tiny.gradient(_method(threshold=0.999, weight_cutmix=0.0))(
    tiny.group()
  )
  assert losses.metrics['pseudo/labeled_fraction'] == 0
  assert losses.terms['augment_main'].value == 0
  assert np.any(grads['kernel'] != 0)


@pytest.mark.parametrize('same', [True, False])
def test_the_auxiliary_label_is_cut_with_the_image_or_not(same):
  config = _config(aux_label_same_crop=same)
  operators = pixmatch.operators(config)
  made = tiny.network()
  label = jnp.arange(2 * 64).reshape(2, 8, 8)
  target = pixmatch.View(jnp.zeros((2, 8, 8, 3)), label, label)
  view = jax.jit(
    lambda: operators.perturbations['augment'](
      jax.random.key(0), made, target, target
    )
  )()
  assert view.image.shape == (2, 6, 6, 3)
  assert np.array_equal(view.label, view.aux_label) == same


def test_one_head_needs_no_auxiliary_weight():
  assert 'augment_aux' not in tiny.weights(
    _method(weight_aux=0.0), aux_head=False
  )
  with pytest.raises(ValueError, match=r'method\.weight_aux.*no auxiliary'):
    tiny.weights(_method(), aux_head=False)


def test_before_its_start_the_target_costs_nothing():
  method = _method(adapt_from=5)
  assert method.starts == (5,)
  assert set(tiny.weights(method)) == {'source_main', 'source_aux'}
  assert 'cutmix_main' in tiny.weights(method, phase=1)


def test_devices_change_nothing():
  tiny.assert_same_on_devices(_method(weight_fourier=0.0))
