"""Two scales, their boxes and windows, and the heads beside a network."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from uda_jax import models
from uda_jax.models import daformer_head
from uda_jax.models import extra_heads
from uda_jax.models import hrda
from uda_jax.models import hrda_entropy
from uda_jax.models import layers
from uda_jax.models import network as network_lib
from uda_jax.models import preprocessing
from uda_jax.models.weights import state_dict
from uda_jax.ops import boxes as boxes_lib
from uda_jax.ops import resize

NUM_CLASSES = 3
CROP = (16, 24)
SIZE = (32, 40)
BOX = np.array([8, 24, 16, 40], np.int32)
CONFIG = dict(
  name='hrda',
  encoder='mit_b0',
  head='daformer',
  head_width=4,
  embed_width=6,
  head_dropout=0.1,
  fusion='conv1',
  drop_path=0.1,
  attention='auto',
  remat=True,
  weights='',
  dtype='float32',
  allow_target_labels=False,
  new_classifier=False,
  in_channels=3,
  attention_width=4,
  scale_attention='classwise',
  fixed_attention=0.5,
  feature_weight=True,
  detail_crop=(32, 32),
  detail_stride=(16, 16),
  context_scale=0.5,
  order='up_then_product',
  entropy_rule='clean',
  heads=(
    ('proj', 'features', 7),
    ('cls', 'features', 5),
    ('project', 'logits', 6),
    ('classifier', 'logits', 5),
  ),
)


class Pyramid(nn.Module):
  """A small encoder: means of 4x4 and 8x8 pixels, mixed."""

  @nn.compact
  def __call__(self, image, *, use_running_average, deterministic):
    del use_running_average, deterministic
    maps = []
    for i, (stride, width) in enumerate(((4, 5), (8, 6))):
      x = image[:, stride // 2 :: stride, stride // 2 :: stride]
      maps.append(
        nn.relu(
          layers.Conv(
            width, dtype=image.dtype, use_bias=True, name=f'stage{i}'
          )(x)
        )
      )
    return tuple(maps)

  @staticmethod
  def kernel_init(path, noise):
    return network_lib.he(path, noise)


def _network(*, attention=NUM_CLASSES, heads=None, **options):
  light = lambda channels: daformer_head.DAFormerHead(channels, 4, 'conv1')
  module = hrda.HRDA(
    Pyramid(),
    hrda.TwoScaleHead(
      light(NUM_CLASSES), light(attention) if attention else None, light(1)
    ),
    detail_crop=CROP,
    detail_stride=(8, 12),
    **options,
  )
  return network_lib.from_module(
    module,
    preprocessing.IMAGENET,
    kernel_init=module.kernel_init,
    takes_detail=True,
    heads=heads or {},
  )


def _image(size=SIZE, batch=2):
  shape = (batch, *size, 3)
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture(scope='module')
def variables():
  """Variables that fit all networks of this file, none of them at 0."""
  shapes = jax.eval_shape(
    lambda key: _network().init(key, SIZE), jax.random.key(0)
  )
  random = np.random.default_rng(1)
  return jax.tree.map(
    lambda x: jnp.asarray(random.uniform(-1, 1, x.shape), x.dtype), shapes
  )._replace(
    batch_stats=jax.tree.map(
      lambda x: jnp.full(x.shape, 0.5, x.dtype), shapes.batch_stats
    )
  )


def _forward(network, variables, image, detail, **options):
  run = jax.jit(
    lambda variables, image: network.forward(
      *variables, image, detail=detail, **options
    )
  )
  return run(variables, image)


def _evaluated(network, variables, image, detail=None):
  return _forward(network, variables, image, detail, use_running_average=True)[
    0
  ]


def test_maps_and_sizes(variables):
  outputs, _ = _forward(_network(), variables, _image(), BOX)
  shapes = {
    k: v.shape for k, v in outputs.maps.items() if k != 'detail_features'
  }
  assert outputs.logits.shape == (2, 8, 10, NUM_CLASSES)
  assert [x.shape for x in outputs.features] == [(2, 4, 5, 5), (2, 2, 2, 6)]
  assert shapes == {
    'context': (2, 4, 5, 3),
    'attention': (2, 4, 5, 3),
    'detail': (2, 4, 6, 3),
    'crop_mask': (2, 4, 5, 1),
    'fused_lr': (2, 8, 10, 4),
    'fused_hr': (2, 8, 10, 4),
    'feature_weight': (2, 8, 10, 1),
  }
  assert [x.shape for x in outputs.maps['detail_features']] == [
    (2, 4, 6, 5),
    (2, 2, 3, 6),
  ]
  np.testing.assert_array_equal(outputs.boxes, BOX)
  mask = np.zeros((2, 4, 5, 1))
  mask[:, 1:3, 2:5] = 1
  np.testing.assert_array_equal(outputs.maps['crop_mask'], mask)
  assert not (np.asarray(outputs.maps['attention']) * (1 - mask)).any()


def test_one_window_over_all_equals_a_box_over_all(variables):
  network = _network()
  image = _image(CROP)
  box = np.array([0, CROP[0], 0, CROP[1]])
  np.testing.assert_allclose(
    _evaluated(network, variables, image).logits,
    _evaluated(network, variables, image, box).logits,
    atol=1e-5,
  )


def test_windows_keep_images_apart(variables):
  network = _network()
  image = _image((35, 43))  # windows overlap unevenly, sides are odd
  both = _evaluated(network, variables, image).logits
  alone = [
    _evaluated(network, variables, image[i : i + 1]).logits for i in (0, 1)
  ]
  np.testing.assert_allclose(both, np.concatenate(alone), atol=1e-5)
  assert np.isfinite(both).all() and both.shape[1:3] == (8, 10)


def test_each_image_may_have_its_own_box(variables):
  network = _network()
  image = _image()
  boxes = np.stack([BOX, BOX * [0, 0, 1, 1] + [16, 32, 0, 0]])
  own = _evaluated(network, variables, image, boxes)
  for i, box in enumerate(boxes):
    alone = _evaluated(network, variables, image[i : i + 1], box)
    np.testing.assert_allclose(own.logits[i], alone.logits[0], atol=1e-5)
    np.testing.assert_allclose(
      own.maps['fused_hr'][i], alone.maps['fused_hr'][0], atol=1e-5
    )


def test_highest_entropy_is_the_box_and_costs_one_update_more(variables):
  network = _network()
  image = _image()
  chosen, stats = _forward(network, variables, image, boxes_lib.MAX_ENTROPY)
  assert chosen.boxes.shape == (2, 4)
  given, fewer = _forward(network, variables, image, chosen.boxes)
  np.testing.assert_allclose(chosen.logits, given.logits, atol=1e-5)
  stats, fewer = (x['decode_head'] for x in (stats, fewer))
  same = jax.tree.map(np.array_equal, stats, fewer)
  # The pass for the entropy is one of the shared head alone.
  assert not any(jax.tree.leaves(same['head']))
  assert all(jax.tree.leaves([same['scale_attention'], same['feat_weighter']]))


def test_the_choice_takes_no_gradient(variables):
  network = _network()
  image = _image()

  def gradient(detail):
    def loss(params):
      outputs, _ = network.forward(
        params, variables.batch_stats, image, detail=detail
      )
      return jnp.square(outputs.logits).mean(), outputs.boxes

    return jax.jit(jax.grad(loss, has_aux=True))(variables.params)

  grads, boxes = gradient(boxes_lib.MAX_ENTROPY)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
    grads,
    gradient(boxes)[0],
  )


@pytest.mark.parametrize('order', hrda.ORDERS)
def test_fixed_attention_shows_one_scale(variables, order):
  image = _image(CROP)
  box = np.array([0, CROP[0], 0, CROP[1]])
  context, detail = (
    _evaluated(
      _network(attention=0, fixed_attention=share, order=order),
      variables,
      image,
      box,
    )
    for share in (0.0, 1.0)
  )
  np.testing.assert_allclose(
    context.logits, resize.bilinear(context.maps['context'], (4, 6)), atol=1e-6
  )
  np.testing.assert_allclose(detail.logits, detail.maps['detail'], atol=1e-6)


def test_orders_differ_where_attention_does():
  random = np.random.default_rng(0)
  context, detail = random.normal(size=(1, 4, 4, 2)), np.zeros((1, 8, 8, 2))
  attention = np.zeros((1, 4, 4, 1))
  attention[:, :, 2:] = 0.5
  (first, seen), (second, whole) = (
    hrda.fuse(context, detail, attention, order=order)
    for order in ('product_then_up', 'up_then_product')
  )
  np.testing.assert_allclose(seen, (1 - attention) * context, rtol=1e-6)
  np.testing.assert_array_equal(whole, context)
  flat = np.ones(8, bool)
  flat[3:5] = False  # the columns that see both values
  np.testing.assert_allclose(first[:, :, flat], second[:, :, flat], atol=1e-6)
  assert not np.allclose(first[:, :, ~flat], second[:, :, ~flat], atol=1e-3)


def test_remat_changes_nothing(variables):
  image = _image()

  def run(remat):
    network = _network(remat=remat)

    def loss(params):
      outputs, stats = network.forward(
        params, variables.batch_stats, image, detail=BOX, key=jax.random.key(0)
      )
      return jnp.square(outputs.logits).mean(), stats

    return jax.jit(jax.value_and_grad(loss, has_aux=True))(variables.params)

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    run(True),
    run(False),
  )


def test_bad_requests_are_refused(variables):
  def ask(size, detail, **options):
    jax.eval_shape(
      lambda variables, image: _network(**options).forward(
        *variables, image, detail=detail
      ),
      variables,
      _image(size),
    )

  with pytest.raises(ValueError, match='max_entropy'):
    ask(SIZE, 'entropy')
  with pytest.raises(ValueError, match='multiples of 8'):
    ask((36, 40), BOX)
  # A cell of the context would be 4 / 0.55 = 7.3 pixels.
  with pytest.raises(ValueError, match=r'context_scale: .*stride of 4, got 0'):
    ask((64, 80), BOX, context_scale=0.55)


def _build(**changes):
  config = ml_collections.ConfigDict({'model': CONFIG | changes})
  return models.build(config, 5)


@pytest.mark.parametrize(
  'field', ['scale_attention', 'order', 'entropy_rule', 'head', 'encoder']
)
def test_bad_fields_are_named(field):
  with pytest.raises(ValueError, match=f'config.model.{field}'):
    _build(**{field: 'nothing'})


def test_windows_that_leave_pixels_out_are_refused():
  with pytest.raises(
    ValueError, match='config.model.detail_stride: .*left out'
  ):
    _build(detail_stride=(16, 33))


@pytest.mark.parametrize(
  'heads', [(('nothing', 'logits', 1),), (('proj', 'nothing', 1),)]
)
def test_bad_heads_are_named(heads):
  with pytest.raises(ValueError, match='config.model.heads'):
    jax.eval_shape(
      lambda key: _build(heads=heads).init(key, (64, 64)), jax.random.key(0)
    )


def test_names_are_those_of_the_checkpoints():
  shapes = jax.eval_shape(
    lambda key: _build().init(key, (64, 64)), jax.random.key(0)
  )
  names = state_dict.export(
    jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)
  )
  assert {
    'decode_head.head.embed_layers.3.proj.weight': (6, 256),
    'decode_head.scale_attention.conv_seg.weight': (5, 4, 1, 1),
    'decode_head.feat_weighter.conv_seg.bias': (1,),
    'proj_head.proj.0.weight': (512, 512, 1, 1),
    'proj_head.proj.1.0.running_var': (512,),
    'proj_head.proj.2.bias': (7,),
    'cls_head.0.weight': (512, 512, 3, 3),
    'cls_head.1.0.weight': (512,),
    'cls_head.3.weight': (5, 512, 1, 1),
    'project.0.weight': (5, 5, 1, 1),
    'project.2.weight': (6, 5, 1, 1),
    'classifier.weight': (5, 5, 1, 1),
    'classifier.bias': (5,),
  }.items() <= {k: v.shape for k, v in names.items()}.items()
  assert 'cls_head.3.bias' not in names


def test_extra_heads_have_their_own_variables():
  rows = ml_collections.ConfigDict(
    {'heads': (('proj', 'features', 7), ('cls', 'features', 2))}
  )
  network = _network(heads=extra_heads.build(rows))
  variables = jax.jit(network.init, static_argnums=1)(jax.random.key(0), SIZE)
  features = tuple(_image(size)[..., :2] for size in ((8, 10), (4, 5)))
  wide = (
    np.concatenate([features[0]] * 2 + [features[0][..., :1]], -1),
    np.concatenate([features[1]] * 3, -1),
  )

  @jax.jit
  def run(variables, key):
    head = lambda name, key: network.head(name, *variables, wide, key=key)
    return head('proj', None), head('cls', None), head('cls', key)

  (unit, stats), (plain, _), (dropped, _) = run(variables, jax.random.key(1))
  assert unit.shape == (2, 8, 10, 7) and plain.shape == (2, 8, 10, 2)
  np.testing.assert_allclose(np.square(unit).sum(-1), 1, rtol=1e-5)
  assert not np.allclose(plain, dropped)
  for key in stats:
    same = jax.tree.map(np.array_equal, stats[key], variables.batch_stats[key])
    assert all(jax.tree.leaves(same)) == (key != 'proj_head')
  # Forward passes carry their statistics along.
  _, after = _forward(network, variables, _image(), BOX)
  assert jax.tree.structure(after) == jax.tree.structure(variables.batch_stats)
  with pytest.raises(ValueError, match='config.model.heads'):
    network.head('project', *variables, wide)


@pytest.mark.parametrize(
  ('name', 'source'), [('proj', 'features'), ('project', 'logits')]
)
def test_embeddings_are_float32_unit_vectors_of_16_bit_features(name, source):
  rows = ml_collections.ConfigDict({'heads': ((name, source, 7),)})
  module = extra_heads.build(rows)[name].module
  x = _image((8, 10)).astype(jnp.bfloat16)
  x = [x] if name == 'proj' else x
  switches = dict(use_running_average=True, deterministic=True)
  variables = module.init(jax.random.key(0), x, **switches)
  kernels = lambda path, v: v + 1.0 if path[-1].key == 'kernel' else v
  variables = jax.tree_util.tree_map_with_path(kernels, variables)
  vector = module.apply(variables, x, **switches)
  assert vector.dtype == jnp.float32
  np.testing.assert_allclose(np.square(vector).sum(-1), 1, rtol=1e-5)


def test_extra_heads_start_as_pytorch_does():
  kernel = extra_heads.kernel_init(
    (), jax.random.normal(jax.random.key(0), (1, 1, 400, 100))
  )
  bound = 400**-0.5
  assert np.abs(kernel).max() <= bound
  np.testing.assert_allclose(np.std(kernel), bound / 3**0.5, rtol=0.02)


def test_entropy_of_known_predictions():
  logits = np.array([[0.0] * 4, [2000.0, 0, 0, 0]], np.float32)[None, None]
  found = hrda_entropy.entropy(jnp.asarray(logits))[0, 0]
  np.testing.assert_allclose(
    found,
    [np.log(4) / hrda_entropy.SCALE, 3e-8 * np.log(1e8) / hrda_entropy.SCALE],
    rtol=1e-4,
  )


def test_the_window_of_highest_entropy_and_the_first_of_equals():
  logits = np.full((2, 4, 4, 2), [9.0, 0.0], np.float32)
  logits[0, 2:, 2:] = 0  # the last window
  choose = jax.jit(
    lambda x: hrda_entropy.max_entropy_boxes(
      x, (8, 8), (4, 4), stride=(4, 4), rule='clean'
    )
  )
  np.testing.assert_array_equal(choose(logits), [[4, 8, 4, 8], [0, 4, 0, 4]])


def test_the_released_scan_copies_winners_over_the_first_window():
  boxes = np.array([(0, 1, 1, 3), (0, 1, 0, 2), (0, 1, 2, 4)])
  values = jnp.array([[[1.1, 0.1, 1.0, 0.3]]])
  # Means 0.55, 0.6, 0.65. The second wins, and its copy (1.1, 0.1) over the
  # first leaves the third (0.1, 0.3).
  assert hrda_entropy._largest(values, boxes) == 2
  assert hrda_entropy._released_scan(values, boxes) == 1
