"""VFM-UDA and VFM-UDA++ on a tiny network, and what a run of them needs."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests import tiny
from uda_jax import methods
from uda_jax import types
from uda_jax.augment import vfm_jitter
from uda_jax.configs.blocks import vfm
from uda_jax.losses import feature_distance
from uda_jax.methods import vfm_uda
from uda_jax.models import dinov2
from uda_jax.models import extra_heads
from uda_jax.models import reference
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import state_dict

NUM_CLASSES = 4
WIDTH = 5


def _network():
  """A linear network that takes a mask, with a head and a frozen network."""
  base = tiny.network(NUM_CLASSES)

  def init(key, image_size):
    variables = base.init(key, image_size)
    head = jax.random.normal(key, (3, WIDTH))
    return variables._replace(params=variables.params | {'head': head})

  def forward(params, stats, image, *, mask=None, **switches):
    seen = image if mask is None else jnp.where(mask[..., None], image, 0)
    outputs, stats = base.forward(params, stats, seen, **switches)
    return outputs._replace(features=(seen,)), stats

  def head(name, params, stats, features, **switches):
    assert name == 'feature_head'
    return features @ params['head'], stats

  def features(variables, image):
    return image[:, ::2, ::2] @ variables.params

  return base._replace(
    init=init,
    forward=forward,
    head=head,
    mask_size=lambda size: size,
    reference=types.Reference(
      lambda key, size: types.Variables(jax.random.normal(key, (3, WIDTH)), {}),
      features,
    ),
  )


def _config(**fields):
  config = vfm.method_pp()
  config.update(threshold=0.3, mask_block=2, **fields)
  return config


def _losses(config, network, batch=None):
  """Losses of a step, and the student's parameters."""
  method = methods.make(config, NUM_CLASSES)
  student = network.init(jax.random.key(0), (8, 8))
  state = tiny.state(student, network.init(jax.random.key(1), (8, 8)))
  if batch is None:
    batch = tiny.group(NUM_CLASSES)
  frozen = None
  if network.reference is not None:
    frozen = network.reference.init(jax.random.key(3), (8, 8))

  def losses(params):
    return method.loss(params, state, batch, jax.random.key(4), network, frozen)

  return jax.jit(losses), student.params


@pytest.fixture
def no_jitter(monkeypatch):
  """Colour jitter takes long to compile."""
  monkeypatch.setattr(
    vfm_jitter, 'augment', lambda key, pixels, strength: pixels
  )


@pytest.mark.usefixtures('no_jitter')
def test_the_terms_and_their_weights():
  losses, params = _losses(_config(), _network())
  terms = losses(params).terms
  names = ('source', 'mixed', 'masked', 'distance_source', 'distance_target')
  assert set(terms) == set(names)
  # 0.1 is the term's weight alone: the distance itself has no such factor.
  weights = [terms[name].weight for name in names]
  np.testing.assert_allclose(weights, [1.0, 1.0, 1.0, 0.1, 0.1])
  assert all(np.isfinite(t.value) and t.value > 0 for t in terms.values())


@pytest.mark.usefixtures('no_jitter')
def test_the_distance_is_that_of_clean_images_to_the_frozen_network():
  network = _network()
  batch = tiny.group(NUM_CLASSES)
  # A picture that is its own mirror image: the flip changes nothing.
  image = jnp.concatenate(
    [batch.source.image[:, :, :4], batch.source.image[:, :, 3::-1]], 2
  )
  batch = batch._replace(source=batch.source._replace(image=image))
  losses, params = _losses(_config(), network, batch)
  value = losses(params).terms['distance_source'].value
  x = network.normalize(image)
  frozen = network.reference.init(jax.random.key(3), (8, 8))
  features = x[:, ::2, ::2] @ frozen.params
  projected = (x @ params['head']).reshape(2, 4, 2, 4, 2, WIDTH).mean((2, 4))
  expected = feature_distance.smooth_cosine_distance(projected, features)
  np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.usefixtures('no_jitter')
def test_the_frozen_network_and_the_labels_pass_no_gradient():
  network = _network()
  losses, params = _losses(_config(), network)

  @jax.jit
  @jax.grad
  def gradient(params):
    return sum(t.weight * t.value for t in losses(params).terms.values())

  found = gradient(params)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(found))
  assert np.abs(found['head']).max() > 0
  assert np.abs(found['kernel']).max() > 0


@pytest.mark.usefixtures('no_jitter')
def test_without_the_distance_it_is_not_part_of_the_program():
  network = _network()._replace(reference=None, head=None)
  losses, params = _losses(_config(weight_distance=0.0), network)
  terms = jax.eval_shape(losses, params).terms
  assert set(terms) == {'source', 'mixed', 'masked'}


@pytest.mark.parametrize(
  ('missing', 'message'),
  [
    ('mask_size', "config.method.name: 'vfm_uda' hides .* expected"),
    ('reference', r'config.method.weight_distance: .*config.model.reference'),
  ],
)
def test_a_network_that_does_not_suit_is_one_line(missing, message):
  network = _network()._replace(**{missing: None})
  losses, params = _losses(_config(), network)
  with pytest.raises(ValueError, match=message) as error:
    jax.eval_shape(losses, params)
  assert '\n' not in str(error.value)


def _run(**model):
  block = dict(
    encoder='dinov2_s',
    mask_token=True,
    heads=(('feature_head', 'coarsest', 24),),
  )
  block['reference'] = vfm.reference('file')
  return ml_collections.ConfigDict(
    dict(
      method=vfm.method_pp(),
      model=block | model,
      teacher=dict(use=True, copy_stats_every=0),
    )
  )


@pytest.mark.parametrize(
  ('model', 'message'),
  [
    (dict(reference=None), 'config.model.reference: expected the block'),
    (dict(mask_token=False), 'config.model.mask_token: expected True'),
    (dict(encoder='mit_b5', mask_token=False), "mask_token: .*'mit_b5'"),
    (dict(heads=()), r"config.model.heads: expected a row \('feature_head'"),
  ],
)
def test_a_run_without_a_frozen_network_or_its_head_is_one_line(model, message):
  methods.check(_run())
  with pytest.raises(ValueError, match=message) as error:
    methods.check(_run(**model))
  assert '\n' not in str(error.value)


def test_an_unknown_flip_is_one_line():
  config = _run()
  config.method.flip = 'both'
  with pytest.raises(ValueError, match="config.method.flip: .*'both'"):
    methods.check(config)


@pytest.fixture
def small(monkeypatch):
  """A variant that is small enough to be written to a file."""
  variant = dinov2.Variant(64, 4, 2)
  monkeypatch.setitem(dinov2.VARIANTS, 'small', variant)


def _model(path, **fields):
  block = vfm.reference(str(path))
  block.update(encoder='small', size=28, **fields)
  return ml_collections.ConfigDict(
    dict(
      reference=block,
      dtype='float32',
      in_channels=3,
      allow_target_labels=False,
    )
  )


@pytest.mark.usefixtures('small')
def test_the_frozen_network_has_the_weights_of_its_file(tmp_path):
  path = tmp_path / 'dinov2.safetensors'
  encoder = dinov2.DINOv2(64, 4, registers=2, num_features=1)
  variables = jax.jit(encoder.init)(
    jax.random.key(1), jnp.zeros((1, 28, 28, 3))
  )
  params = variables['params']
  tensors = state_dict.export(types.Variables(params, {}))
  mask_token = {'mask_token': np.zeros((1, 64), np.float32)}
  safetensors.write(path, tensors | mask_token)
  made = reference.build(_model(path))
  variables = made.init(jax.random.key(0), (56, 84))
  jax.tree.map(
    np.testing.assert_array_equal, variables.params['backbone'], params
  )
  image = jax.random.normal(jax.random.key(2), (1, 56, 84, 3))
  found = jax.jit(made.features)(variables, image)
  # 28 pixels are 2 patches of the shorter side, 3 of the longer.
  assert found.shape == (1, 2, 3, 64)
  half = jax.image.resize(image, (1, 28, 42, 3), 'linear', antialias=False)
  expected = jax.jit(encoder.apply)({'params': params}, half)[-1]
  np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.usefixtures('small')
def test_a_file_of_another_frozen_network_is_named_with_its_field(tmp_path):
  path = tmp_path / 'dinov2.safetensors'
  safetensors.write(path, {'cls_token': np.zeros((1, 1, 64), np.float32)})
  made = reference.build(_model(path))
  with pytest.raises(ValueError) as error:
    made.init(jax.random.key(0), (28, 28))
  assert str(error.value).startswith(
    f'config.model.reference.weights: {path} does not fit the network: '
  )


@pytest.mark.usefixtures('small')
@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (dict(encoder='dinov3'), 'config.model.reference.encoder: .*dinov3'),
    (dict(size=0), 'config.model.reference.size: expected pixels, 14'),
  ],
)
def test_a_block_of_no_network_is_one_line(fields, message):
  config = _model('file')
  config.reference.update(fields)
  with pytest.raises(ValueError, match=message) as error:
    reference.build(config)
  assert '\n' not in str(error.value)


def test_the_projection_is_a_head_of_the_coarsest_map():
  rows = ml_collections.ConfigDict(
    {'heads': (('feature_head', 'coarsest', 7),)}
  )
  head = extra_heads.build(rows)['feature_head']
  maps = (jnp.zeros((1, 4, 4, 2)), jnp.ones((1, 2, 2, 6)))
  given = head.example(types.Outputs(maps[0], features=maps))
  assert given.shape == maps[1].shape
  variables = head.module.init(jax.random.key(0), given)
  assert head.module.apply(variables, given).shape == (1, 2, 2, 7)


def test_the_operators_are_those_of_the_config():
  config = _config(flip='image')
  operators = vfm_uda.operators(config, NUM_CLASSES)
  mask = operators.mask(jax.random.key(0), 3, (8, 8))
  assert mask.shape == (3, 8, 8)
  # Blocks of 2 x 2 are hidden whole.
  assert bool((mask[:, ::2, ::2] == mask[:, 1::2, 1::2]).all())
  batch = tiny.group(NUM_CLASSES)
  flipped = operators.flip(jax.random.key(5), batch)
  for new, old in zip(flipped.source.image, batch.source.image):
    same, mirrored = bool((new == old).all()), bool((new == old[:, ::-1]).all())
    assert same != mirrored
