"""A whole training iteration of VFM-UDA++, through the train step.

ViT-Adapter, pyramid decoder, block masks and the two feature distances. The
draws or their results are recorded, as in `vfm_steps`.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tests import tiny
from tests.golden_checks import common
from tests.golden_checks import transformers
from tests.golden_checks import vfm_adapter
from tests.golden_checks import vfm_networks
from tests.golden_checks import vfm_steps
from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import vfm as configs
from uda_jax.methods import vfm_uda
from uda_jax.models import encoder_decoder
from uda_jax.models import extra_heads
from uda_jax.models import network as network_lib
from uda_jax.models import preprocessing
from uda_jax.models import pyramid_head
from uda_jax.models.weights import state_dict
from uda_jax.train import optim
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib
from uda_jax.train import teacher as teacher_lib

Tensors = transformers.Tensors


def network(
  weights: Tensors, arrays: Tensors
) -> tuple[types.Network, types.Variables, types.Variables]:
  """The network, its variables, and those of its frozen network."""
  tensors = transformers.prefixed(weights, 'sd:')
  head = transformers.prefixed(weights, 'feature_head:')
  tensors |= {f'feature_head.{name}': x for name, x in head.items()}
  module = encoder_decoder.EncoderDecoder(
    vfm_adapter.encoder(
      transformers.prefixed(tensors, 'encoder.'), enlarge=configs.ENLARGE
    ),
    pyramid_head.PyramidHead(
      len(tensors['out.weight']), jnp.result_type(float)
    ),
  )
  channels = len(head['feat_project.3.bias'])
  rows = ml_collections.ConfigDict(
    {'heads': (('feature_head', 'coarsest', channels),)}
  )
  image = jnp.zeros((1, *arrays['source_image'].shape[1:]))
  reference, frozen = vfm_networks.frozen(
    transformers.prefixed(weights, 'feature_net:'),
    image,
    int(arrays['feature_net_heads']),
    int(arrays['feature_net_in_size']),
  )
  made = network_lib.from_module(
    module,
    preprocessing.IMAGENET,
    heads=extra_heads.build(rows),
    mask_size=encoder_decoder.mask_size(module.backbone),
  )._replace(reference=reference)
  shapes = jax.eval_shape(
    lambda key: made.init(key, image.shape[1:3]), jax.random.key(0)
  )
  loaded, _ = state_dict.load(vfm_networks.our_names(tensors), shapes)
  return made, loaded, frozen


def recipe(arrays: Tensors, made: types.Network, params, method):
  """The recorded optimizer, at the first step of its schedule."""
  optimizer = configs.optim_pp(float(arrays['layer_decay']))
  schedule = configs.schedule(
    learning_rate=configs.group_rate(
      float(arrays['lr']), group_size=len(arrays['source_image'])
    )
  )
  return recipe_lib.Recipe(
    method=method,
    network=made,
    optimizer=optim.make(optimizer, params),
    learning_rate=lambda state: optim.learning_rate(schedule, state),
    teacher=teacher_lib.Rule(0.999, ramp=True),
  )


def step_vfmudapp(path: pathlib.Path) -> Iterator[common.Difference]:
  """Losses, gradient, update, running statistics and teacher of a step."""
  d = common.load(path)
  weights = common.load(path.with_name(f'{path.stem}_weights.npz'))
  made, student, frozen = network(weights, d)
  image_size = d['source_image'].shape[1:3]
  inner = made.mask_size(image_size)
  yield 'net_in_size', inner, [d['net_in_size']] * 2, *common.EXACT
  num_classes = len(weights['sd:out.weight'])
  batch, draws = vfm_steps.iteration(d, num_classes)
  batch = jax.tree.map(lambda x: jnp.asarray(x)[None], batch)
  mesh, panels = parallel.make_mesh(1), {}

  def make(draws):
    method = vfm_uda.make(configs.method_pp(), vfm_steps.operators(draws))
    method = common.keeping_panels(method, panels)
    return recipe(d, made, student.params, method)

  @jax.jit
  def train_step(state, batch, draws, frozen):
    return step_lib.make_update(make(draws), mesh, 1)(state, batch, frozen)

  before = state_lib.init_state(
    make(draws), student, jax.random.key(0), batch, num_steps=1
  )
  before = tiny.place(before, mesh)
  after, metrics = train_step(before, batch, draws, frozen)
  jax.effects_barrier()
  yield from vfm_steps.logged(d, metrics, panels)
  yield from _moved(d, before, after, vfm_steps.changed(d, metrics, panels))
  yield from _statistics(d, after.student.batch_stats)
  rates = optim.learning_rates(
    configs.optim_pp(float(d['layer_decay'])), student.params
  )
  rates = float(metrics['learning_rate']) * np.unique(jax.tree.leaves(rates))
  # Groups of one rate can be a rounding apart in float32.
  nearest = lambda x, others: others[np.abs(x[:, None] - others).argmin(1)]
  golden = d['lr_groups']
  yield 'lr_groups', nearest(golden, rates), golden, 0.0, 1e-5
  yield 'rates', rates, nearest(rates, golden), 0.0, 1e-5
  # The teacher's first share of the student is a half.
  expected = jax.tree.map(
    lambda old, new: 0.5 * (old + new),
    before.teacher.params,
    after.student.params,
  )
  for ours, mean in zip(
    jax.tree.leaves(after.teacher.params), jax.tree.leaves(expected)
  ):
    yield 'teacher', ours, mean, *vfm_networks.tolerance(mean)


def _moved(
  d: Tensors, before, after, loose: float
) -> Iterator[common.Difference]:
  """Sizes and sums of the gradients, and sizes of the parameters' steps."""
  share = 1 - configs.optim_pp().b1
  grads = jax.tree.map(lambda x: np.asarray(x) / share, after.opt_state[0].mu)
  moves = jax.tree.map(
    lambda new, old: np.asarray(new) - np.asarray(old),
    after.student.params,
    before.student.params,
  )
  named = lambda tree: {
    vfm_networks.theirs(name): x
    for name, x in state_dict.export(types.Variables(tree, {})).items()
  }
  grads, moves = named(grads), named(moves)
  names = [str(name) for name in d['names']]
  yield 'names', sorted(grads), sorted(names), *common.EXACT
  exact = jax.config.jax_enable_x64
  sizes = np.array([np.linalg.norm(grads[name].ravel()) for name in names])
  sums = np.array([grads[name].sum() for name in names])
  # Sums of what cancels are as exact as the gradients that they are made of.
  atol = (1e-5 if exact else 1e-3) * np.maximum(sizes, sizes.max() * 1e-4)
  for key, ours in (('grad_l2', sizes), ('grad_sum', sums)):
    apart = (ours - d[key]) / np.maximum(atol, loose * sizes.max())
    yield f'{key} in tolerances', apart, np.zeros_like(apart), 1.0, 0.0
  steps = np.array([np.linalg.norm(moves[name].ravel()) for name in names])
  golden = d['update_l2']
  if not exact:
    # Adam's first step is the rate wherever a gradient is above its epsilon;
    # below it (biases before a norm, of keys) float32 rounding makes the step.
    rates = optim.learning_rates(
      configs.optim_pp(float(d['layer_decay'])), before.student.params
    )
    rates = jax.tree.map(
      lambda p, x: np.full(p.shape, x), before.student.params, rates
    )
    largest = named(rates)
    largest = np.array(
      [np.linalg.norm(largest[name].ravel()) for name in names]
    )
    clear = golden > 0.9 * float(d['lr_groups'].max()) * largest
    yield 'clear steps', clear.mean() > 0.5, True, *common.EXACT
    steps, golden = steps[clear], golden[clear]
  rtol = 1e-3 if exact else 0.2
  yield 'update_l2', steps, golden, 1e-3 * steps.max(), rtol


def _statistics(d: Tensors, batch_stats) -> Iterator[common.Difference]:
  """Running statistics of the student after its five passes."""
  ours = state_dict.export(types.Variables({}, batch_stats))
  ours = {vfm_networks.theirs(name): x for name, x in ours.items()}
  for name, golden in transformers.prefixed(d, 'student_after:').items():
    yield name, ours[name], golden, *vfm_networks.tolerance()


CHECKS = {'vfm/step_vfmudapp.npz': step_vfmudapp}
