"""EHTDI's whole losses and iterations against golden files.

`total_*` runs the method on a network that answers with recorded logits,
`train_*` on the narrowed DeepLab-v2. Views and class draws are recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from tests import tiny
from tests.golden_checks import common
from tests.golden_checks import ehtdi as parts
from tests.golden_checks import networks
from uda_jax import parallel
from uda_jax import types
from uda_jax.augment import class_paste
from uda_jax.augment import weak_strong
from uda_jax.configs.blocks import convnets as blocks
from uda_jax.methods import ehtdi
from uda_jax.models.weights import state_dict
from uda_jax.train import gradient as gradient_lib
from uda_jax.train import optim
from uda_jax.train import patterns
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import schedules
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib
from uda_jax.train import teacher as teacher_lib

Difference = common.Difference

# The README's constants of `train_*`.
TRAIN = {'base': 1e-3, 'num_steps': 50, 'power': 0.9}
FIRST_STEP, EMA_DECAY = 20, 0.99
# A pass's name in `total_*`, by variant, in the order of the passes.
PASSES = {
  'main': ('source', 'target', 'strong', 'weak', 't2s'),
  'edge': ('source', 'target', 'strong', 'weak', 'weak_unmixed', 't2s'),
}


def _method(
  variant: str, constants, draws, given, num_classes: int
) -> types.Method:
  """The method with recorded views and draws.

  `draws` and `given` may be traced; the latter are the recorded views.
  """
  config = ml_collections.ConfigDict(
    dict(
      variant=variant,
      confidence=float(constants['Tmax']),
      class_weights=(),
      weight_aux=float(constants['lam_aux']),
      weight_mixed=float(constants['lam_aug']),
      weight_into_source=float(constants['mix_weight']),
      weight_view_contrast=float(constants['NCE_weight']),
      class_temperature=1 / 7,
      pixel_temperature=1 / 20,
      contrast_stride=0,
      class_contrast_all_images=False,
      into_source_first_only=True,
      border_needs_all=True,
      adapt_from=0,
    )
  )
  take = lambda domain, label: (
    lambda *_: weak_strong.Views(
      given[f'{domain}_strong'], given[f'{domain}_weak'], given[label]
    )
  )
  return ehtdi.make(
    config,
    ehtdi.Operators(
      source_views=take('src', 'src_label'),
      target_views=take('tgt', 'tgt_pseudo'),
      choose_classes=lambda key, label: parts.paste_mask(
        label, draws, num_classes
      ),
    ),
  )


def _labeled(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Labels in our convention, the draws as they are."""
  return {
    k: common.to_255(v).astype(np.int32)
    if v.dtype.kind == 'i' and k != 'draws'
    else v
    for k, v in arrays.items()
  }


def _group(source_image, source_label, target_image) -> types.Batch:
  return jax.tree.map(
    lambda x: jnp.asarray(x)[None],
    types.Batch(
      types.Source(source_image, source_label),
      types.Target(target_image, np.ones(target_image.shape[:3], bool)),
    ),
  )


def _sums(
  terms: dict[str, float], weight_into_source: float
) -> dict[str, float]:
  """The weighted terms in the sums that the reference knows."""
  add = lambda *names: sum(terms.get(name, 0.0) for name in names)
  source = add('source_main', 'source_aux')
  into = add('into_source_main', 'into_source_border', 'into_source_aux')
  main = add('mixed_main', 'mixed_border_main') + into
  aux = add('mixed_aux', 'mixed_border_aux')
  sums = {'loss_t2s': into / weight_into_source} if weight_into_source else {}
  return sums | {
    'loss_source_total': source,
    'loss_target_total': sum(terms.values()) - source,
    'loss_main': main,
    'loss_aux': aux,
    'logged_source_main': add('source_main'),
    'logged_source_aux': add('source_aux'),
    'logged_aug_main': main,
    'logged_aug_aux': aux,
  }


def _maps(panels, variant: str) -> dict[str, jax.Array]:
  """The label maps and images of an iteration, by the reference's names."""
  pasted, sure = panels['pasted'], panels['confident']
  aux = panels['into_source_aux_label']
  borders_ = {
    'border_paste': class_paste.mask_border(pasted),
    'border_conf': class_paste.mask_border(sure) & ~pasted,
  }
  used = {f'use_{k}': v.any((1, 2))[:2].all() for k, v in borders_.items()}
  edge = {'t2s_mask': sure | pasted, 't2s_label_aux': common.from_255(aux)}
  return {
    'paste_mask': pasted,
    'paste_label': np.where(pasted, common.from_255(panels['mixed_label']), 0),
    'mixed_strong': panels['mixed_strong'],
    'mixed_weak': panels['mixed_weak'],
    't2s_image': panels['into_source'],
    'mixed_label': common.from_255(panels['mixed_label']),
    't2s_label': common.from_255(panels['into_source_label']),
    'label_aux_weak': panels['aux_label'],
    'conf_mask': sure,
    'conf_label_with_paste': common.from_255(panels['contrast_label']),
    'label_main_clean': panels['pseudo_label'],
    **(borders_ | used | edge if variant == 'edge' else {}),
  }


def _compare_maps(
  prefix: str, panels, golden, variant: str
) -> Iterator[Difference]:
  for name, ours in _maps(panels, variant).items():
    if prefix + name in golden:
      yield (
        prefix + name,
        ours,
        golden[prefix + name],
        *(common.EXACT if ours.dtype.kind != 'f' else (1e-6, 0.0)),
      )


def _answering(variant: str) -> types.Network:
  """A network whose parameters are the logits of its passes.

  The number of entries of its statistics counts the passes, in the trace.
  """

  def forward(
    params,
    batch_stats,
    image,
    *,
    key=None,
    use_running_average=False,
    detail=None,
  ):
    del key, use_running_average, detail
    logits = params[PASSES[variant][len(batch_stats)]]
    stats = (*batch_stats, jnp.zeros((), image.dtype))
    return types.Outputs(
      logits['main'],
      logits.get('aux', logits['main']),
      maps={'low_logits': logits['low']} if 'low' in logits else {},
    ), stats

  same = lambda x: x
  return types.Network(None, forward, same, same)


def total(path: pathlib.Path) -> Iterator[Difference]:
  """Losses, label maps and gradients for recorded logits of all passes."""
  stem, variant = path.stem.rsplit('_', 1)
  golden = common.load(path)
  given = _labeled(common.load(path.with_name(f'{stem}_in.npz')))
  if not given['lam_aux']:
    # No term has labels of the auxiliary head; ours are the main head's.
    for name in ('label_aux_weak', 't2s_label_aux'):
      golden.pop(name, None)
  recorded = common.load(path.with_name(f'{stem}_logits.npz'))
  logits = {
    name: {
      k: jnp.asarray(recorded[f'logits_{name}_{k}'])
      for k in ('main', 'aux', 'low')
      if f'logits_{name}_{k}' in recorded
    }
    for name in PASSES[variant]
  }
  num_classes = recorded['logits_source_main'].shape[-1]
  panels = {}
  recipe = recipe_lib.Recipe(
    common.keeping_panels(
      _method(variant, given, golden['draws'], given, num_classes), panels
    ),
    _answering(variant),
    optax.identity(),
    lambda state: jnp.zeros(()),
  )
  images = lambda name: np.zeros(
    (*recorded[f'logits_{name}_main'].shape[:3], 3),
    recorded['logits_source_main'].dtype,
  )
  batch = _group(images('source'), given['y_s'], images('target'))
  mesh = parallel.make_mesh(1)
  state = state_lib.init_state(
    recipe, types.Variables(logits, {}), jax.random.key(0), batch, num_steps=1
  )
  gradient, losses = jax.jit(gradient_lib.make_gradient(recipe, mesh, 1))(
    state.student.params, state, batch, None
  )
  terms = {
    name: float(term.weight) * float(term.value)
    for name, term in losses.terms.items()
  }
  for name, ours in _sums(terms, float(given['mix_weight'])).items():
    yield name, ours, golden[name], 1e-5, 0.0
  jax.effects_barrier()
  yield from _compare_maps('', panels, golden, variant)
  yield 'num_select', (golden['draws'] >= 0).sum(1), golden['num_select'], 0, 0
  for name, value in golden.items():
    if name.startswith('grad_'):
      _, *middle, kind = name.split('_')
      ours = gradient['_'.join(middle)][kind]
      # No gradient at all is recorded as an empty array, or as zeros.
      if ours is None:
        ours = np.zeros_like(value)
      yield name, ours, value, *common.tolerance(value)


def _train_recipe(
  variant, constants, network, variables, arrays, num_classes, panels
) -> recipe_lib.Recipe:
  """The authors' optimiser and moving average around the method."""
  return recipe_lib.Recipe(
    method=common.keeping_panels(
      _method(variant, constants, arrays['draws'], arrays, num_classes), panels
    ),
    network=network,
    optimizer=optim.make(
      blocks.pixmatch_sgd(repeats=blocks.DEEPLAB_REPEATS), variables.params
    ),
    learning_rate=lambda state: schedules.poly(state.step, **TRAIN),
    teacher=teacher_lib.Rule(EMA_DECAY, ramp=False),
    frozen=lambda params: patterns.match(params, (('^bn1/', True),), False),
  )


def train(path: pathlib.Path) -> Iterator[Difference]:
  """Consecutive iterations: losses, label maps, weights, statistics, EMA."""
  variant = path.stem.split('_')[1]
  golden = dict(np.load(path))
  constants = dict(
    Tmax=golden['Tmax'],
    lam_aux=0.1,
    lam_aug=0.1,
    mix_weight=0.1,
    NCE_weight=0.01,
  )
  network, variables = networks.deeplab(
    networks.architecture(path.with_name('deeplab_tiny_weights.npz'))
  )
  num_classes = variables.params['layer6']['conv2d_list']['0']['bias'].size
  mesh = parallel.make_mesh(1)
  panels = {}
  recipe = lambda arrays: _train_recipe(
    variant, constants, network, variables, arrays, num_classes, panels
  )

  # The recorded arrays are arguments, so that one program does all iterations.
  @jax.jit
  def train_step(state, batch, arrays):
    return step_lib.make_update(recipe(arrays), mesh, 1)(state, batch, None)

  state = None
  for number in range(sum(k.endswith('_lr') for k in golden)):
    prefix = f'it{number}_'
    arrays = common.load(path.with_name(f'train_in_it{number}.npz'))
    arrays = {
      k.removeprefix(prefix): v
      for k, v in _labeled(
        {k.replace(f'{prefix}draws', 'draws'): v for k, v in arrays.items()}
      ).items()
    }
    batch = _group(arrays['x_s'], arrays['y_s'], arrays['x_t'])
    if state is None:
      state = state_lib.init_state(
        recipe(arrays),
        variables,
        jax.random.key(0),
        batch,
        num_steps=TRAIN['num_steps'],
      )
      state = tiny.place(
        dataclasses.replace(state, step=jnp.asarray(FIRST_STEP, jnp.int32)),
        mesh,
      )
    state, metrics = train_step(state, batch, arrays)
    jax.effects_barrier()
    yield (
      f'{prefix}lr',
      metrics['learning_rate'],
      golden[f'{prefix}lr'],
      1e-9,
      1e-5,
    )
    yield from _compare_maps(prefix, panels, golden, variant)
    terms = {
      k.removeprefix('loss/'): v
      for k, v in metrics.items()
      if k.startswith('loss/') and k != 'loss/total'
    }
    for name, ours in _sums(terms, constants['mix_weight']).items():
      if prefix + name in golden:
        yield prefix + name, ours, golden[prefix + name], 1e-5, 0.0
  yield from _weights(path, variant, state)


def _weights(path: pathlib.Path, variant: str, state) -> Iterator[Difference]:
  """Weights and statistics of the student and of its average."""
  for kind, variables in (('model', state.student), ('ema', state.teacher)):
    ours = state_dict.export(variables)
    golden = dict(np.load(path.with_name(f'train_{variant}_{kind}.npz')))
    for key, value in golden.items():
      name = key.removeprefix(f'{kind}/')
      # Parameters that no loss uses are left out here.
      if name in ours:
        yield key, ours[name], value, 2e-5, 0.0


CHECKS = {
  'ehtdi/total_*_main.npz': total,
  'ehtdi/total_*_edge.npz': total,
  'ehtdi/train_*_out.npz': train,
}
