"""DAFormer's training iterations and its feature distance.

The draws are recorded in the files and enter through the method's operators;
everything else is the code that trains. Widths and depths are read from the
files, the recipe stands in their README.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np

from tests import tiny
from tests.golden_checks import common
from tests.golden_checks import transformers
from uda_jax import parallel
from uda_jax import types
from uda_jax.augment import classmix
from uda_jax.augment import dacs_jitter
from uda_jax.configs.blocks import common as common_configs
from uda_jax.losses import feature_distance
from uda_jax.methods import self_training
from uda_jax.models import encoder_decoder
from uda_jax.models import network as network_lib
from uda_jax.models import preprocessing
from uda_jax.models.weights import state_dict
from uda_jax.train import optim
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib
from uda_jax.train import teacher as teacher_lib

SCHEDULE = common_configs.poly(learning_rate=1e-3, warmup_steps=2)
NUM_STEPS = 10
MARGINS = (3, 8, 0, 0)
# The reference normalised images in float32 and computed the rest in float64.
MEAN, STD = (
  np.float32(values)
  for values in (preprocessing.IMAGENET.mean, preprocessing.IMAGENET.std)
)
LOSSES = {
  'decode.loss_seg': 'source',
  'src.loss_imnet_feat_dist': 'distance',
  'mix.decode.loss_seg': 'mixed',
}

_distance = jax.jit(
  jax.value_and_grad(feature_distance.class_feature_distance),
  static_argnames=('num_classes', 'classes', 'min_fraction'),
)


def distances(path: pathlib.Path) -> Iterator[common.Difference]:
  """The feature distance; where the reference is NaN we give 0."""
  method = common_configs.daformer()
  for case, d in common.cases(common.load(path), '.', 'feat'):
    label = jnp.asarray(d['label'])
    small = feature_distance.dominant_label(
      label,
      cell=label.shape[2] // d['feat'].shape[2],
      num_classes=19,
      min_fraction=method.distance_min_fraction,
    )
    yield f'{case}.label_small', small, d['label_small'], *common.EXACT
    mask = np.isin(small, method.distance_classes)
    yield f'{case}.mask', mask, d['mask'], *common.EXACT
    loss, gradient = _distance(
      d['feat'],
      d['feat_imnet'],
      label,
      num_classes=19,
      classes=method.distance_classes,
      min_fraction=method.distance_min_fraction,
    )
    weight = method.weight_distance
    yield (
      f'{case}.loss',
      weight * loss,
      np.nan_to_num(d['loss']),
      *common.tolerance(),
    )
    yield (
      f'{case}.dfeat',
      weight * gradient,
      d['dfeat'],
      *common.tolerance(d['dfeat']),
    )


def network(
  tensors: transformers.Tensors,
) -> tuple[types.Network, types.Variables]:
  """The network of a state dict, which takes normalised images."""
  module = encoder_decoder.EncoderDecoder(
    transformers.mit(transformers.prefixed(tensors, 'backbone.')),
    transformers.daformer(transformers.prefixed(tensors, 'decode_head.')),
  )
  identity = preprocessing.Preprocessing((0.0,) * 3)
  made = network_lib.from_module(module, identity)
  shapes = jax.eval_shape(
    lambda key: made.init(key, (64, 64)), jax.random.key(0)
  )
  return made, state_dict.load(tensors, shapes)[0]


def operators(draws: transformers.Tensors) -> self_training.Operators:
  """Operators that apply recorded draws."""
  strong = dacs_jitter.StrongDraw(
    draws['u'],
    dacs_jitter.ColorJitter(*draws['jitter'].T, draws['jitter_order']),
    draws['sigma'],
  )

  def augment(key, image):
    del key
    mean, std = (x.astype(image.dtype) for x in (MEAN, STD))
    return (dacs_jitter.apply_strong(image * std + mean, strong) - mean) / std

  return self_training.Operators(
    choose_classes=lambda key, label: classmix.class_mask(
      label, draws['chosen']
    ),
    augment=augment,
  )


def iteration(
  arrays: transformers.Tensors, number: int, num_classes: int
) -> tuple[types.Batch, transformers.Tensors]:
  """The batch of an iteration, and its draws; gates say which are used."""
  d = transformers.prefixed(arrays, f't{number}.')
  images = [
    ((d[name].astype(np.float32) - MEAN) / STD).astype(jnp.result_type(float))
    for name in ('img_u8', 'target_u8')
  ]
  label = d['label']
  valid_mask = np.broadcast_to(
    common.inside_margins(label.shape[1:], MARGINS), label.shape
  )
  if 'valid' in d:
    valid_mask = d['valid'] > 0
  chosen = np.zeros((len(label), num_classes + 1), bool)
  for row, ids in zip(chosen, np.unique(label)[d['choice']]):
    row[np.minimum(ids, num_classes)] = True
  # Of the recorded types, so that one program does all iterations.
  order = np.tile(np.arange(4, dtype=np.int32), (len(label), 1))
  unused = {
    'jitter': np.ones((len(label), 4)),
    'sigma': np.ones(len(label)),
    'jitter_order': order,
  }
  names = ('u', 'jitter', 'jitter_order', 'sigma', 'offsets')
  draws = {name: d[name] for name in names if name in d}
  batch = types.Batch(
    types.Source(images[0], label), types.Target(images[1], valid_mask)
  )
  return batch, unused | draws | {'chosen': chosen}


def recipe(made: types.Network, params, method) -> recipe_lib.Recipe:
  """DAFormer's, as the README has it."""
  return recipe_lib.Recipe(
    method=method,
    network=made,
    optimizer=optim.make(common_configs.daformer_adamw(), params),
    learning_rate=lambda state: optim.learning_rate(SCHEDULE, state),
    teacher=teacher_lib.Rule(0.999, ramp=True),
  )


def step_daformer(path: pathlib.Path) -> Iterator[common.Difference]:
  """DAFormer's iterations."""

  def make_method(draws):
    return self_training.make(common_configs.daformer(), operators(draws))

  yield from iterations(path, network, make_method, LOSSES)


def iterations(
  path: pathlib.Path, make_network, make_method, names: dict[str, str]
) -> Iterator[common.Difference]:
  """Consecutive iterations: losses, gradient, student and teacher.

  Args:
    path: the step file; its weights and results lie beside it.
    make_network: from a state dict to the network and its variables.
    make_method: from an iteration's draws to the method.
    names: from the names of logged losses to those of the method's terms.
  """
  weights = common.load(path.with_name(f'{path.stem}_weights.npz'))
  after = common.load(path.with_name(f'{path.stem}_after.npz'))
  arrays = common.load(path)
  made, student = make_network(transformers.prefixed(weights, 'sd0:'))
  teacher_stats, _ = state_dict.load(
    transformers.prefixed(weights, 'ema0:'),
    types.Variables({}, student.batch_stats),
  )
  frozen, _ = state_dict.load(
    transformers.prefixed(weights, 'imnet:'),
    student,
    lambda name: None if name[0] == 'decode_head' else '.'.join(name),
  )
  num_classes = next(
    len(x) for name, x in weights.items() if name.endswith('conv_seg.bias')
  )
  mesh = parallel.make_mesh(1)

  panels = {}

  @jax.jit
  def train_step(state, batch, draws):
    method = common.keeping_panels(make_method(draws), panels)
    this = recipe(made, student.params, method)
    return step_lib.make_update(this, mesh, 1)(state, batch, frozen)

  count = sum(bool(re.fullmatch(r't\d+\.label', name)) for name in arrays)
  states = []
  for number in range(count):
    batch, draws = iteration(arrays, number, num_classes)
    batch = jax.tree.map(lambda x: jnp.asarray(x)[None], batch)
    if not states:
      states.append(
        tiny.place(
          state_lib.init_state(
            recipe(made, student.params, make_method(draws)),
            student,
            jax.random.key(0),
            batch,
            num_steps=NUM_STEPS,
            teacher=student._replace(batch_stats=teacher_stats.batch_stats),
          ),
          mesh,
        )
      )
    state, metrics = train_step(states[-1], batch, draws)
    jax.effects_barrier()
    states.append(state)
    yield from logged(number, arrays, metrics, panels, names)
    if number == 0:
      yield from _tensors('grad0:', _first_gradient(state), after)
  yield from _tensors('sd1:', states[-1].student, after)
  # The teacher as the last iteration used it, after its own forward pass.
  teacher = types.Variables(
    states[-2].teacher.params, states[-1].teacher.batch_stats
  )
  yield from _tensors('ema1:', teacher, after)


def _first_gradient(state: types.TrainState) -> types.Variables:
  """The gradient of the first step: its first moment is a share of it."""
  share = 1 - common_configs.daformer_adamw().b1
  return types.Variables(
    jax.tree.map(lambda x: np.asarray(x) / share, state.opt_state[0].mu), {}
  )


def logged(
  number, arrays, metrics, panels, names
) -> Iterator[common.Difference]:
  """Compares the logged values of an iteration.

  In float32 rounding may change a few decisions of the teacher, labels and
  which pixels are confident; what follows from them is then compared loosely.
  """
  d = transformers.prefixed(arrays, f't{number}.')
  golden, share = d['mixed_label'], float(d['confident_fraction'])
  label = np.asarray(panels['mixed_label'])
  few = 0.0 if jax.config.jax_enable_x64 else common.FEW * label.size
  others = float(np.sum(label != golden))
  yield f't{number}.mixed_label', others, 0.0, few, 0.0
  fraction = float(metrics['pseudo/confident_fraction'])
  more = (fraction - share) * label.size
  yield f't{number}.n_confident', more, 0.0, few + 1e-2, 0.0
  loose = 0.0
  if others or abs(more) > 0.5:
    loose = max(common.LOOSE, abs(fraction / max(share, 1 / label.size) - 1))
  rate = metrics['learning_rate'] * np.array([1.0, 10.0])
  ours = {
    'lr': rate,
    'mixed_weight_sum': panels['mixed_weight'].sum((1, 2)),
    'mixed_img_mean': panels['mixed'].mean((1, 2)),
    **{name: metrics[f'loss/{term}'] for name, term in names.items()},
  }
  for name, value in ours.items():
    golden = np.nan_to_num(d[name])
    atol, rtol = common.tolerance()
    yield f't{number}.{name}', value, golden, atol, max(rtol, loose)


def _tensors(
  prefix: str, variables: types.Variables, arrays
) -> Iterator[common.Difference]:
  """Compares a state dict, as far as it is recorded."""
  ours = state_dict.export(variables)
  for name, golden in transformers.prefixed(arrays, prefix).items():
    if name.endswith(state_dict.COUNTER):
      continue
    value = ours[name]
    if name.endswith('attn.kv.bias') and not jax.config.jax_enable_x64:
      # The keys' half has no gradient; Adam amplifies its rounding.
      value, golden = (np.split(x, 2)[1] for x in (value, golden))
    # A second implementation in float64 is 2.6e-6 from the reference. The
    # encoder's first gradients magnify rounding some 30 times, and Adam makes
    # of any gradient, however small, a step of up to 8e-3: in float32 single
    # elements of small gradient are an eighth of a step off on some machines.
    atol = 5e-6 if jax.config.jax_enable_x64 else 1e-3
    yield prefix + name, value, golden, atol, 1e-4


CHECKS = {
  'daformer_hrda/feat_dist*.npz': distances,
  'daformer_hrda/step_daformer*.npz': step_daformer,
}
