"""MIC on a tiny network: one more pass, on any method of the family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from uda_jax import configs
from uda_jax import methods
from uda_jax import types
from uda_jax.augment import dacs_jitter
from uda_jax.configs.blocks import mic as mic_configs
from uda_jax.losses import segmentation
from uda_jax.methods import mic
from uda_jax.methods import self_training
from uda_jax.methods import teacher_labels

NUM_CLASSES = 4


def _config():
  """Self-training that trusts nearly all labels of an untrained network."""
  config = tiny.self_training_config()
  config.threshold = 0.26
  return config


def _state() -> types.TrainState:
  network = tiny.network(NUM_CLASSES)
  return tiny.state(
    network.init(jax.random.key(0), (8, 8)),
    network.init(jax.random.key(1), (8, 8)),
  )


def _batch() -> types.Batch:
  return tiny.group(NUM_CLASSES)


def _losses(batch, visible, images='target', bn='batch') -> types.Losses:
  """With the left columns hidden from column `visible` on."""
  config = mic_configs.masked(_config(), block=4, images=images)
  config.masking.bn = bn
  base = tiny.self_training_method(NUM_CLASSES)
  operators = mic.Operators(
    augment=lambda key, pixels: pixels,
    mask=lambda key, pixels: jnp.broadcast_to(
      jnp.arange(pixels.shape[2]) < visible, pixels.shape[:3]
    ),
    detail=lambda key, size, name, phase: None,
  )
  method = mic.with_masking(
    config.masking, config, base, operators, self_training.segment
  )
  return jax.jit(
    lambda batch: method.loss(
      _state().student.params,
      _state(),
      batch,
      jax.random.key(3),
      tiny.network(NUM_CLASSES),
      None,
    )
  )(batch)


def test_the_teacher_sees_the_image_and_the_student_a_part():
  batch, network, state = _batch(), tiny.network(NUM_CLASSES), _state()
  losses = _losses(batch, visible=3)
  image = network.normalize(batch.target.image)
  label, weight, _, _ = teacher_labels.pseudo_label(
    _config(), state, batch, network
  )
  hidden = image.at[:, :, 3:].set(0)
  outputs, _ = network.forward(*state.student, hidden)
  expected = segmentation.cross_entropy(outputs.logits, label, weight=weight)
  assert expected > 0
  np.testing.assert_allclose(losses.terms['masked'].value, expected, rtol=1e-5)
  np.testing.assert_allclose(
    losses.panels['masked'], network.denormalize(hidden), rtol=1e-5
  )
  assert set(losses.terms) == {'source', 'mixed', 'masked'}


def test_running_statistics_are_used_and_stay_those_of_whole_images():
  batch, network, state = _batch(), tiny.network(NUM_CLASSES), _state()
  own, running = (_losses(batch, 3, bn=bn) for bn in ('batch', 'ema'))
  base = tiny.self_training_method(NUM_CLASSES).loss(
    state.student.params, state, batch, jax.random.key(3), network, None
  )
  same = lambda losses: all(
    jax.tree.leaves(
      jax.tree.map(
        lambda a, b: np.allclose(a, b, rtol=1e-6),
        losses.student_stats,
        base.student_stats,
      )
    )
  )
  assert same(running) and not same(own)
  label, weight, _, _ = teacher_labels.pseudo_label(
    _config(), state, batch, network
  )
  hidden = network.normalize(batch.target.image).at[:, :, 3:].set(0)
  outputs, _ = network.forward(
    state.student.params,
    base.student_stats,
    hidden,
    use_running_average=True,
  )
  expected = segmentation.cross_entropy(outputs.logits, label, weight=weight)
  assert expected > 0
  np.testing.assert_allclose(running.terms['masked'].value, expected, rtol=1e-5)
  assert abs(running.terms['masked'].value - own.terms['masked'].value) > 1e-4


def test_one_source_image_and_one_target_image():
  batch, network, state = _batch(), tiny.network(NUM_CLASSES), _state()
  losses = _losses(batch, visible=3, images='one_of_each')
  label, weight, _, _ = teacher_labels.pseudo_label(
    _config(), state, batch, network
  )
  image = jnp.stack([batch.source.image[0], batch.target.image[0]])
  hidden = network.normalize(image).at[:, :, 3:].set(0)
  outputs, _ = network.forward(*state.student, hidden)
  expected = segmentation.cross_entropy(
    outputs.logits,
    jnp.stack([batch.source.label[0], label[0]]),
    weight=jnp.stack([jnp.ones_like(weight[0]), weight[0]]),
  )
  np.testing.assert_allclose(losses.terms['masked'].value, expected, rtol=1e-5)
  # The first image alone counts, and of it the pixels alone that are trusted.
  others = jax.tree.map(lambda x: x.at[1:].set(0), batch.source)
  same = _losses(batch._replace(source=others), visible=3, images='one_of_each')
  np.testing.assert_array_equal(
    same.terms['masked'].value, losses.terms['masked'].value
  )


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('method.masking.images', 'both', r"images: expected one of .*'both'"),
    ('data.crop_size', (0, 0), r"expected 'target', .* sizes, \(1024, 2048\)"),
  ],
)
def test_images_that_cannot_be_masked_together(field, value, message):
  config = configs.load('cityscapes_to_acdc/mic')
  assert config.method.masking.images == 'one_of_each'
  methods.check(config)
  config.update_from_flattened_dict({field: value})
  with pytest.raises(ValueError, match=message):
    mic.check(config)


def test_nothing_trusted_is_nothing_to_learn():
  batch = _batch()
  target = batch.target._replace(
    valid_mask=jnp.zeros_like(batch.target.valid_mask)
  )
  losses = _losses(batch._replace(target=target), visible=3)
  assert losses.terms['masked'].value == 0


def test_statistics_pass_through_the_masked_pass():
  """Hidden everything, the last pass moves the mean towards 0."""
  open_, blind = (
    _losses(_batch(), visible).student_stats['mean'] for visible in (8, 0)
  )
  assert np.all(np.abs(open_ - blind) > 1e-6)


@pytest.mark.parametrize('masked', [False, True])
def test_the_table_adds_the_pass_where_the_config_says(masked):
  config = tiny.self_training_config()
  if masked:
    config = mic_configs.masked(config, block=4)
  method = methods.make(config, NUM_CLASSES)
  losses = jax.eval_shape(
    lambda batch: method.loss(
      _state().student.params,
      _state(),
      batch,
      jax.random.key(3),
      tiny.network(NUM_CLASSES),
      None,
    ),
    _batch(),
  )
  assert ('masked' in losses.terms) == masked


def test_a_group_is_jittered_in_one_order_and_blurred_with_one_sigma(
  monkeypatch,
):
  seen = []
  monkeypatch.setattr(
    dacs_jitter, 'apply_strong', lambda pixels, draw: seen.append(draw)
  )
  mic.augment_together(jax.random.key(0), jnp.zeros((8, 4, 4, 3)))
  (draw,) = seen
  assert (draw.jitter.order == draw.jitter.order[:1]).all()
  assert len(set(draw.sigma.tolist())) == 1
  assert len(set(draw.jitter.hue.tolist())) == 8
