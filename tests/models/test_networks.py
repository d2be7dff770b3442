"""Properties of all networks behind `Network`, and of each network."""

import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests.golden_checks import networks as golden_networks
from tests.golden_checks import runner
from uda_jax import models
from uda_jax.models import light_decoder
from uda_jax.models import resnet

GOLDEN = pathlib.Path(__file__).parent.parent / 'golden'
NUM_CLASSES = 5
SIZE = (37, 50)  # odd and even, no multiple of any stride
DEEPLAB = dict(
  stem=4,
  planes=(2, 2, 3, 4),
  blocks=(1, 2, 1, 1),
  aspp_branches=2,
  aux_head=True,
  remat=False,
  class_rows=(),
  resnet='caffe',
)
FIELDS = {
  'compact': {},
  'efficientnet_lite0': dict(width=16, dropout=0.5),
  'deeplab_v2': DEEPLAB,
}
COMMON = dict(
  weights='',
  allow_target_labels=False,
  new_classifier=False,
  in_channels=3,
  dtype='float32',
  heads=(),
)
# Size of the logits at SIZE.
LOGITS = {
  'compact': (19, 25),
  'efficientnet_lite0': (10, 13),
  'deeplab_v2': SIZE,
}


def _build(name, **changes):
  fields = COMMON | dict(name=name) | FIELDS[name]
  config = ml_collections.ConfigDict({'model': fields | changes})
  return models.build(config, NUM_CLASSES)


def _image(dtype=np.float32, batch=2):
  shape = (batch, *SIZE, 3)
  return np.random.default_rng(0).normal(size=shape).astype(dtype)


def _shapes(network):
  return jax.eval_shape(lambda key: network.init(key, SIZE), jax.random.key(0))


def _noise(shapes):
  """Variables at random, without the compilation that a draw costs."""
  random = np.random.default_rng(1)
  return jax.tree.map(
    lambda x: jnp.asarray(random.uniform(0.2, 0.4, x.shape), x.dtype), shapes
  )


@pytest.fixture(scope='module', params=sorted(FIELDS))
def passes(request):
  """All kinds of forward passes of a network, compiled once."""
  network = _build(request.param)
  variables = network.init(jax.random.key(0), SIZE)

  @jax.jit
  def run(params, stats, image, key):
    def forward(key, use_running_average):
      return network.forward(
        params, stats, image, key=key, use_running_average=use_running_average
      )

    return {
      'train': forward(None, False),
      'dropout': forward(key, False),
      'eval': forward(None, True),
      'eval_dropout': forward(key, True),
    }

  first, second = (run(*variables, _image(), jax.random.key(i)) for i in (1, 2))
  return request.param, variables, first, second


def test_output_sizes(passes):
  name, _, first, _ = passes
  outputs, _ = first['eval']
  assert outputs.logits.shape == (2, *LOGITS[name], NUM_CLASSES)
  sizes = [x.shape[1:3] for x in outputs.features]
  assert sizes == sorted(sizes, reverse=True) and len(sizes) >= 4
  for leaf in jax.tree.leaves(first):
    assert np.isfinite(leaf).all()


def test_running_statistics_are_one_switch(passes):
  _, variables, first, _ = passes
  for kind in ('eval', 'eval_dropout'):
    jax.tree.map(
      np.testing.assert_array_equal, first[kind][1], variables.batch_stats
    )
  for before, after in zip(
    jax.tree.leaves(variables.batch_stats),
    jax.tree.leaves(first['train'][1]),
    strict=True,
  ):
    assert (np.asarray(before) != after).any()
  assert not np.array_equal(first['train'][0].logits, first['eval'][0].logits)


def test_dropout_is_the_other_switch(passes):
  name, _, first, second = passes
  for kind, without in (('dropout', 'train'), ('eval_dropout', 'eval')):
    np.testing.assert_array_equal(
      first[without][0].logits, second[without][0].logits
    )
    has_dropout = 'dropout' in FIELDS[name]
    for other in (first[without], second[kind]):
      assert has_dropout != np.array_equal(
        first[kind][0].logits, other[0].logits
      )


def test_kernels_start_at_their_standard_deviation(passes):
  name, variables, _, _ = passes
  checked = 0
  for path, leaf in jax.tree_util.tree_leaves_with_path(variables.params):
    if path[-1].key != 'kernel' or leaf.size < 2000:
      continue
    expected = (
      0.01 if name == 'deeplab_v2' else np.sqrt(2 / np.prod(leaf.shape[:-1]))
    )
    np.testing.assert_allclose(np.std(leaf), expected, rtol=0.1)
    np.testing.assert_allclose(np.mean(leaf), 0, atol=0.1 * expected)
    checked += 1
  assert checked or name == 'deeplab_v2'


def test_start_depends_on_the_key_alone():
  network = _build('compact')
  first, same, other = (
    jax.tree.leaves(network.init(jax.random.key(i), size).params)
    for i, size in ((0, (32, 32)), (0, (48, 32)), (1, (32, 32)))
  )
  for a, b in zip(first, same, strict=True):
    np.testing.assert_array_equal(a, b)
  assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_compact_has_half_a_million_parameters():
  shapes = _shapes(_build('compact')).params
  total = sum(x.size for x in jax.tree.leaves(shapes))
  assert 450_000 < total < 550_000


def _assert_all_reached(loss, params):
  gradients = jax.jit(jax.grad(loss))(params)
  for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
    assert np.isfinite(leaf).all() and np.any(leaf), path


def test_gradient_of_compact():
  network = _build('compact')
  variables = _noise(_shapes(network))
  _assert_all_reached(
    lambda params: jnp.mean(
      network.forward(params, variables.batch_stats, _image())[0].logits ** 2
    ),
    variables.params,
  )


def test_gradient_of_the_light_decoder():
  """The gradients of its encoder's layers are tested with the layers."""
  module = light_decoder.LightDecoder(NUM_CLASSES, width=4)
  features = [
    np.random.default_rng(i).normal(size=(2, h, w, 3)).astype('f')
    for i, (h, w) in enumerate([(9, 12), (5, 6), (3, 3)])
  ]

  def apply(variables):
    (logits, _), _ = module.apply(
      variables,
      features,
      use_running_average=False,
      deterministic=False,
      rngs={'dropout': jax.random.key(0)},
      mutable=['batch_stats'],
    )
    return logits

  variables = _noise(
    jax.eval_shape(
      lambda key: module.init(
        key, features, use_running_average=True, deterministic=True
      ),
      jax.random.key(0),
    )
  )
  _assert_all_reached(
    lambda params: jnp.mean(apply(variables | {'params': params}) ** 2),
    variables['params'],
  )


@pytest.mark.parametrize('name', sorted(FIELDS))
@pytest.mark.parametrize(
  ('dtype', 'stored'), [('bfloat16', 'float32'), ('float64', 'float64')]
)
def test_dtypes(name, dtype, stored):
  """Variables, statistics and logits are wide; float64 is never narrowed."""
  with jax.enable_x64(dtype == 'float64'):
    network = _build(name, dtype=dtype)
    variables = _shapes(network)
    image = jax.ShapeDtypeStruct((1, *SIZE, 3), jnp.dtype(stored))
    outputs, stats = jax.eval_shape(network.forward, *variables, image)
  wide = jax.tree.leaves((variables, stats, outputs.logits, outputs.aux_logits))
  assert {str(x.dtype) for x in wide} == {stored}
  assert {str(x.dtype) for x in outputs.features} == {dtype}


@pytest.mark.parametrize('name', sorted(FIELDS))
def test_every_product_has_the_configured_precision(name):
  def operations(precision):
    network = _build(name, matmul_precision=precision)

    def loss(params, stats, image):
      outputs, _ = network.forward(params, stats, image)
      return outputs.logits.sum()

    variables = _shapes(network)
    text = str(jax.make_jaxpr(jax.grad(loss))(*variables, _image()))
    return text.count('precision=None'), text.count('precision=(Precision.H')

  rounded, _ = operations('default')
  assert rounded
  left, highest = operations('highest')
  assert left == 0 and highest >= rounded
  with pytest.raises(ValueError, match=r"one of \('default', 'highest'\), got"):
    operations('high')


def test_detail_is_refused():
  with pytest.raises(ValueError, match='detail must be None'):
    _build('compact').forward({}, {}, _image(), detail='windows')


def test_unknown_model_is_named():
  config = ml_collections.ConfigDict({'model': {'name': 'vgg'}})
  with pytest.raises(
    ValueError,
    match=r'config\.model\.name: .*compact.*'
    r"deeplab_v2.*got 'vgg'",
  ):
    models.build(config, 3)


def test_wrong_number_of_branches_is_named():
  with pytest.raises(ValueError, match=r'config\.model\.aspp_branches.*got 3'):
    _build('deeplab_v2', aspp_branches=3)


@pytest.mark.parametrize(
  ('dtype', 'message'),
  [
    ('float31', r"config\.model\.dtype: got 'float31'.*bfloat16"),
    ('float64', 'JAX_ENABLE_X64'),
  ],
)
def test_wrong_dtype_is_named(dtype, message):
  with pytest.raises(ValueError, match=message):
    _build('compact', dtype=dtype)


def test_all_four_branches_sum():
  """With the first two branches silent, only `aspp_branches=4` speaks."""
  two, four = (_build('deeplab_v2', aspp_branches=n) for n in (2, 4))
  variables = _noise(_shapes(two))
  assert jax.tree.map(jnp.shape, variables) == jax.tree.map(
    jnp.shape, _noise(_shapes(four))
  )
  for head in ('layer5', 'layer6'):
    for branch in ('0', '1'):
      variables.params[head]['conv2d_list'][branch] = jax.tree.map(
        jnp.zeros_like, variables.params[head]['conv2d_list'][branch]
      )
  logits = [
    jax.jit(
      lambda variables, network=network: (
        network.forward(*variables, _image(), use_running_average=True)[
          0
        ].logits
      )
    )(variables)
    for network in (two, four)
  ]
  assert not np.any(logits[0]) and np.any(logits[1])


def test_one_headed_deeplab():
  network = _build('deeplab_v2', aux_head=False)
  variables = _shapes(network)
  outputs, _ = jax.eval_shape(network.forward, *variables, _image())
  assert outputs.aux_logits is None
  assert 'layer5' in variables.params and 'layer6' not in variables.params
  # The only head sits on the last stage.
  head = variables.params['layer5']['conv2d_list']['0']['kernel']
  assert head.shape[2] == 4 * DEEPLAB['planes'][-1]


def test_torchvisions_resnet_under_deeplab():
  """Its pooling rounds down; its strides are on other convolutions."""
  image = jax.ShapeDtypeStruct((1, 40, 40, 3), jnp.float32)

  def run(name):
    network = _build('deeplab_v2', resnet=name)
    variables = _noise(_shapes(network))
    program, outputs = jax.make_jaxpr(
      lambda x: network.forward(*variables, x, use_running_average=True)[0],
      return_shape=True,
    )(image)
    # Strided 1x1 convolutions are products of every other pixel.
    strided = str(program).count('window_strides=(2, 2)')
    return variables, outputs.features[0].shape[1:3], strided

  (caffe, *at_caffe), (other, *at_other) = map(run, ('caffe', 'torchvision'))
  assert at_caffe == [(11, 11), 1] and at_other == [(10, 10), 2]
  assert jax.tree.structure(caffe) == jax.tree.structure(other)
  with pytest.raises(ValueError, match=r'config\.model\.resnet: got .mmlab'):
    _build('deeplab_v2', resnet='mmlab')


def test_rematerialisation_changes_no_value_and_no_name():
  x = _image()[:, :8, :8]

  def run(remat):
    module = resnet.Stage(2, 2, 2, 1, remat=remat)
    init = lambda key: module.init(key, x, use_running_average=True)
    variables = _noise(jax.eval_shape(init, jax.random.key(0)))

    def loss(params):
      out, stats = module.apply(
        variables | {'params': params},
        x,
        use_running_average=False,
        mutable=['batch_stats'],
      )
      return jnp.mean(out**2), stats

    return jax.jit(jax.grad(loss, has_aux=True))(variables['params'])

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    run(False),
    run(True),
  )
  assert _shapes(_build('deeplab_v2', remat=True)) == _shapes(
    _build('deeplab_v2')
  )


def test_deeplab_feature_sizes():
  """Output stride 8 after the pooling that rounds up."""
  network = _build('deeplab_v2')
  variables = _shapes(network)
  for size, expected in (
    ((640, 1280), (81, 161)),
    ((512, 512), (65, 65)),
    ((720, 1280), (91, 161)),
  ):
    image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    outputs, _ = jax.eval_shape(network.forward, *variables, image)
    assert outputs.maps['low_logits'].shape[1:3] == expected
    assert outputs.logits.shape[1:3] == size


@pytest.mark.parametrize(
  'name', ['pixmatch/deeplab_tiny_train1', 'efficientnet_lite0/features']
)
def test_golden_in_float64(name):
  path = GOLDEN / f'{name}.npz'
  check = runner.find(f'{name}.npz')
  assert check.__module__ == golden_networks.__name__
  assert not runner.run(check, path, 'float64').problem
