"""EHTDI on a tiny network: terms, switches, degenerate groups, devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny_two_heads as tiny
from uda_jax import labels
from uda_jax import types
from uda_jax.augment import class_paste
from uda_jax.augment import weak_strong
from uda_jax.configs.blocks import ehtdi as blocks
from uda_jax.methods import ehtdi
from uda_jax.methods import ehtdi_terms

IGNORE = labels.IGNORE_LABEL


def _config(variant='main', released=False, **fields):
  config = blocks.method(paste_classes=(1, 2, 3))
  if released:
    blocks.release(config)
  # The tiny network is sure of little.
  config.update(crop_size=(6, 6), confidence=0.3, variant=variant, **fields)
  return config


def _method(*args, **fields):
  config = _config(*args, **fields)
  return ehtdi.make(config, ehtdi.operators(config, tiny.NUM_CLASSES))


def test_terms_and_weights():
  main = {
    'source_main': 1.0,
    'source_aux': 0.1,
    'mixed_main': 0.1,
    'mixed_aux': 0.01,
    'into_source_main': 0.1,
    'class_contrast': 0.01,
    'pixel_contrast': 0.01,
  }
  edge = {
    'mixed_border_main': 0.1,
    'mixed_border_aux': 0.01,
    'into_source_border': 0.01,
    'into_source_aux': 0.001,
  }
  assert tiny.weights(_method('main')) == pytest.approx(main)
  assert tiny.weights(_method('edge')) == pytest.approx(main | edge)


@pytest.mark.parametrize(
  ('variant', 'released', 'confidence'),
  [('main', False, 0.3), ('edge', True, 0.999)],
)
def test_degenerate_groups_are_finite(variant, released, confidence):
  config = _config(variant, released, blur=0.5)
  config.confidence = confidence
  run = tiny.gradient(ehtdi.make(config, ehtdi.operators(config, 4)))
  for name in tiny.DEGENERATE:
    losses, grads = run(tiny.degenerate(name, tiny.group()))
    tiny.assert_finite(losses, grads)
    if confidence > 0.9:
      assert losses.metrics['pseudo/confident_fraction'] == 0
      assert losses.terms['into_source_border'].value == 0
    if name == 'nothing trusted' and variant == 'main':
      assert losses.metrics['pseudo/confident_fraction'] < 1


@pytest.mark.parametrize('variant', ehtdi_terms.VARIANTS)
def test_neither_head_learns_from_target_pixels_that_are_not_valid(variant):
  group = tiny.degenerate('all ignored', tiny.group())  # nothing to paste
  losses, _ = tiny.gradient(_method(variant))(
    tiny.degenerate('nothing trusted', group)
  )
  assert losses.terms['mixed_main'].value == 0
  assert losses.terms['mixed_aux'].value == 0


def _views(value, label):
  full = lambda v: jnp.full((2, 4, 4, 3), v)
  return weak_strong.Views(
    full(value), full(value + 1), jnp.full((2, 4, 4), label)
  )


def test_weak_source_pixels_go_into_both_views():
  pasted = jnp.zeros((2, 4, 4), bool).at[:, :2].set(True)
  mixed = class_paste.paste_classes(pasted, _views(10, 1), _views(20, 2))
  for image, target in ((mixed.strong, 20), (mixed.weak, 21)):
    np.testing.assert_array_equal(image[0, :, 0, 0], [11, 11, target, target])
  np.testing.assert_array_equal(mixed.label[1, :, 3], [1, 1, 2, 2])


@pytest.mark.parametrize('variant', ehtdi_terms.VARIANTS)
def test_confident_area(variant):
  # Rows: pasted and sure, pasted and unsure, sure, unsure; without label.
  pasted = jnp.zeros((1, 5, 1), bool).at[0, :2].set(True)
  label = jnp.array([1, 1, 2, 2, IGNORE]).reshape(1, 5, 1)
  logits = jnp.zeros((1, 5, 1, 4)).at[0, jnp.array([0, 2, 4]), 0, 3].set(9.0)
  mixed = class_paste.PastedViews((), (), label, pasted)
  area = ehtdi_terms.VARIANTS[variant].area(logits, mixed)
  flat = lambda x: np.asarray(x).ravel().tolist()
  assert flat(area.sure) == [True, False, True, False, False]
  assert flat(area.contrast_label) == [1, 1, 3, IGNORE, IGNORE]
  if variant == 'main':
    assert flat(area.mask) == flat(area.sure)
    assert flat(area.label)[0] == 3  # the prediction, though the truth is known
  else:
    assert flat(area.mask) == [True, True, True, False, False]
    assert flat(area.label)[:3] == [1, 1, 3]


def test_borders_of_both_or_of_none():
  border = jnp.zeros((2, 4, 4), bool).at[0, 1, 1].set(True)
  label = jnp.ones((2, 4, 4), jnp.int32)
  count = lambda released: int(
    (
      ehtdi_terms.on_border(_config(released=released), label, border) != IGNORE
    ).sum()
  )
  assert count(True) == 0 and count(False) == 1
  both = border.at[1, 2, 2].set(True)
  assert (
    ehtdi_terms.on_border(_config(released=True), label, both) != IGNORE
  ).sum() == 2


def test_contrast_moves_both_views_at_any_stride():
  random = np.random.default_rng(0)
  weak, strong = jnp.asarray(random.normal(size=(2, 2, 8, 8, 4)), jnp.float32)
  label = jnp.asarray(random.integers(0, 4, (2, 8, 8)))

  def gradient(stride):
    def total(weak, strong):
      outputs = [types.Outputs(x) for x in (strong, weak)]
      terms = ehtdi_terms.contrast(
        _config(contrast_stride=stride), *outputs, label
      )
      return sum(t.weight * t.value for t in terms.values())

    return jax.jit(jax.grad(total, (0, 1)))(weak, strong)

  for stride in (0, 4):
    for g in gradient(stride):
      assert np.all(np.isfinite(g)) and np.any(g != 0)
  # A stride of 4 reads the two middle rows and columns of each cell.
  np.testing.assert_array_equal(gradient(4)[0][:, ::4], 0)


def test_unknown_choices_are_refused():
  with pytest.raises(ValueError, match=r'method\.variant.*got .corner'):
    _method('corner')
  config = _config()
  config.paste_classes = (5,)
  with pytest.raises(ValueError, match=r'paste_classes.*0\.\.3.*\(5,\)'):
    ehtdi.operators(config, 4)


def test_before_its_start_the_target_costs_nothing():
  method = _method(adapt_from=5)
  assert method.starts == (5,)
  assert set(tiny.weights(method)) == {'source_main', 'source_aux'}


def test_devices_change_nothing():
  tiny.assert_same_on_devices(_method('edge'))


def test_the_same_key_gives_the_same_views():
  config = _config()
  operators = ehtdi.operators(config, 4)
  batch = tiny.group()
  views_of = jax.jit(operators.source_views)
  first, second, other = (
    views_of(jax.random.key(k), batch.source.image, batch.source.label)
    for k in (0, 0, 1)
  )
  jax.tree.map(np.testing.assert_array_equal, first, second)
  assert first.weak.shape == (2, 6, 6, 3)
  assert not np.array_equal(first.weak, other.weak)
