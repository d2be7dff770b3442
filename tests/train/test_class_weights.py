"""Class weights of the cross-entropy: their formulas, checks and effect."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests import tiny
from tests import tiny_config
from tests import tiny_hrda
from tests import tiny_two_heads
from uda_jax import methods
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import ehtdi
from uda_jax.configs.blocks import hrda
from uda_jax.configs.blocks import lse
from uda_jax.configs.blocks import pixmatch
from uda_jax.data import records
from uda_jax.losses import segmentation
from uda_jax.train import checks
from uda_jax.train import class_weights

# Two images, four classes; the third is in one image, the fourth in none.
PIXELS = np.array([[60, 20, 20, 0], [90, 10, 0, 0]])


def test_median_frequency():
  frequency = np.array([150 / 200, 30 / 200, 20 / 100])
  expected = np.median(frequency) / frequency
  np.testing.assert_allclose(
    class_weights.median_frequency(PIXELS), [*expected, 1]
  )


def test_inverse_log():
  fraction = np.array([150, 30, 20, 0]) / 200
  np.testing.assert_allclose(
    class_weights.inverse_log(PIXELS), 1 / np.log(1.02 + fraction)
  )


def test_the_loss_of_each_pixel_is_weighted():
  """By the weight of its label, beside the pixel's own weight."""
  random = np.random.default_rng(0)
  logits = random.normal(size=(2, 3, 4, 3)).astype(np.float32)
  label = random.integers(0, 3, (2, 3, 4))
  label[0, 0] = 255
  pixel = random.random(label.shape).astype(np.float32)
  w = np.array([0.5, 2.0, 0.0, 9.0])
  each = segmentation.pixel_cross_entropy(logits, jnp.asarray(label))
  each = each * pixel * w[np.where(label == 255, 3, label)]
  for average, count in (('all', label.size), ('valid', (label < 255).sum())):
    loss = segmentation.resized_cross_entropy(
      logits,
      jnp.asarray(label),
      weight=pixel,
      class_weights=tuple(w[:3]),
      average=average,
    )
    np.testing.assert_allclose(loss, each.sum() / count, rtol=1e-5)
  with pytest.raises(ValueError, match='class_weights: expected 3.*got 2'):
    segmentation.cross_entropy(
      logits, jnp.asarray(label), class_weights=(1.0, 2.0)
    )


def _tiny(config):
  if config.name == 'hrda':
    return tiny_hrda.network(), tiny_hrda.batch(), tiny_hrda.NUM_CLASSES
  group = tiny.group(4)
  if config.name == 'lse':
    # Its windows come with labels.
    target = group.target._replace(label=group.source.label)
    group = group._replace(target=target)
  return tiny.network(4), group, 4


def _terms(config, network, batch, num_classes):
  variables = network.init(jax.random.key(0), batch.source.label.shape[1:])
  state = tiny.state(variables)
  method = methods.make(config, num_classes)
  losses = method.loss(
    variables.params, state, batch, jax.random.key(3), network, None
  )
  return {name: float(term.value) for name, term in losses.terms.items()}


def _method(name):
  config = common.self_training(threshold=0.3)
  if name == 'source_only':
    config = common.source_only()
  elif name == 'pixmatch':
    config = pixmatch.method()
    config.update(crop_size=(6, 6), weight_aux=0.0, weight_cutmix=0.1, blur=0.0)
    config.add = ('masking',)
    config.masking.update(weight=1.0, block_size=4, threshold=0.2)
  elif name == 'hrda':
    config = hrda.method(config, detail_crop=tiny_hrda.CROP)
  elif name == 'ehtdi':
    config = ehtdi.method(paste_classes=(1, 2))
    config.update(crop_size=(6, 6), weight_aux=0.0, blur=0.0, confidence=0.2)
    config.weight_view_contrast = 0.0
  elif name == 'lse':
    config = lse.method()
    config.weight_focal = 0.0
  return config


@pytest.mark.parametrize(
  'name',
  ['source_only', 'self_training', 'hrda', 'pixmatch', 'ehtdi', 'lse'],
)
def test_every_cross_entropy_of_a_method(name):
  """Equal weights scale each term."""
  config = _method(name)
  network, batch, num_classes = _tiny(config)
  plain = _terms(config, network, batch, num_classes)
  assert all(plain.values())
  config.class_weights = (3.0,) * num_classes
  scaled = _terms(config, network, batch, num_classes)
  for term, value in plain.items():
    np.testing.assert_allclose(scaled[term], 3 * value, rtol=1e-5)


def _config():
  return tiny_config.get_config()


def test_a_formula_becomes_numbers():
  config = _config()
  assert class_weights.resolved(config.method, PIXELS) is config.method
  config.method.class_weights = ('inverse_log',)
  checks.check_config(config)
  method = class_weights.resolved(config.method, PIXELS)
  np.testing.assert_allclose(
    method.class_weights, class_weights.inverse_log(PIXELS)
  )
  assert config.method.class_weights == ('inverse_log',)
  config.method.class_weights = ('inverse_log', 0.5)
  checks.check_config(config)
  np.testing.assert_allclose(
    np.square(class_weights.resolved(config.method, PIXELS).class_weights),
    class_weights.inverse_log(PIXELS),
  )
  block = ml_collections.ConfigDict(dict(name='lse'))
  assert class_weights.resolved(block, PIXELS) is block


@pytest.mark.parametrize(
  'weights',
  [
    (1.0,),
    (1.0,) * 10 + (-1.0,),
    (0.0,) * 11,
    (1.0,) * 10 + (float('inf'),),
    ('inverse',),
    'inverse_log',
    ('inverse_log', 'median_frequency'),
    ('inverse_log', 0.0),
    ('inverse_log', 1.5),
    ('inverse_log', 0.5, 0.5),
  ],
)
def test_weights_that_do_not_fit_are_one_line(weights):
  config = _config()
  names = records.class_names(config.data, 'source')
  assert len(names) == 11
  with config.ignore_type():
    config.method.class_weights = weights
  with pytest.raises(
    ValueError, match=r'config.method.class_weights: expected 11 numb'
  ) as caught:
    class_weights.check(config.method, names)
  assert "('median_frequency',)" in str(caught.value)


def test_two_heads():
  config = pixmatch.method()
  config.update(crop_size=(6, 6), class_weights=(0.0, 2.0, 1.0, 1.0))
  method = methods.make(config, 4)
  assert set(tiny_two_heads.weights(method)) >= {'source_main', 'source_aux'}
  config.class_weights = (1.0, 1.0)
  with pytest.raises(ValueError, match='class_weights: expected 4 numbers'):
    tiny_two_heads.weights(methods.make(config, 4))
