"""Parts of VFM-UDA++ and SoMA: distance, attention, head, splits, schedules.

Every check yields (name, ours, golden, atol, rtol); sizes are read from the
files. Precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from tests.golden_checks import transformers
from tests.golden_checks import vfm_networks
from uda_jax import types
from uda_jax.losses import feature_distance
from uda_jax.models import deformable_attention
from uda_jax.models import feature_projection
from uda_jax.models import low_rank
from uda_jax.models import pyramid_head
from uda_jax.models.weights import state_dict
from uda_jax.ops import deformable_attention as sampling
from uda_jax.ops import resize
from uda_jax.train import schedules

tolerance = vfm_networks.tolerance
# The schedules of SoMA's configs, as the README lists them: warm-up steps and
# the factor at the first.
SOMA_SCHEDULES = {'lr_gta': (0, 1.0), 'lr_acdc': (10_000, 1e-6)}
SOMA_SCHEDULES |= {'lr_c2bm': (1500, 1e-2)}
# (rate, weight decay) of the columns.
SOMA_COLUMNS = ((1e-4, 0.05), (5e-5, 0.05), (1e-4, 0.0))
SOMA_STEPS, SOMA_LAST_DECAY = 40_000, 1e-5


def distance(path: pathlib.Path) -> Iterator[common.Difference]:
  """The projection, the distance and its parts, and their gradients."""
  d = common.load(path)
  student, teacher = jnp.asarray(d['student_map']), d['teacher_map']
  size = teacher.shape[1:3]
  module = feature_projection.FeatureProjection(teacher.shape[-1])
  variables = transformers.module_variables(
    module, transformers.prefixed(d, 'sd:'), student
  )

  @jax.jit
  def run(params, student):
    def value(params, student):
      projected = module.apply({'params': params}, student)
      projected = resize.bilinear(projected, size)
      parts = [
        feature_distance.smooth_cosine_distance(
          projected, teacher, smooth_weight=weight
        )
        for weight in (1.0, 0.0)
      ]
      loss = feature_distance.smooth_cosine_distance(projected, teacher)
      return loss, (projected, *parts)

    return jax.value_and_grad(value, (0, 1), has_aux=True)(params, student)

  (loss, (projected, smooth, cosine)), grads = run(variables['params'], student)
  ours = {
    'projected': projected,
    'loss': loss,
    'smooth_l1_part': smooth,
    'cosine_part': cosine,
    'dstudent_map': grads[1],
  }
  for name, x in ours.items():
    yield name, x, d[name], *tolerance()
  yield from vfm_networks.gradients(grads[0], d)


def _shapes(x: np.ndarray) -> list[tuple[int, int]]:
  return [tuple(map(int, row)) for row in x]


def deform_attn(path: pathlib.Path) -> Iterator[common.Difference]:
  """Attention at recorded points, its start, and points of an image."""
  d = common.load(path)
  shapes = _shapes(d['spatial_shapes_hw'])
  heads, points = int(d['heads']), int(d['points'])
  module = deformable_attention.DeformableAttention(
    heads, points, float(d['ratio']), jnp.result_type(float)
  )
  inputs = (
    jnp.asarray(d['query']),
    d['reference_xy'],
    jnp.asarray(d['value_tokens']),
    shapes,
  )
  variables = transformers.module_variables(
    module, transformers.prefixed(d, 'sd:'), *inputs
  )
  out = jax.jit(lambda v: module.apply(v, *inputs))(variables)
  yield 'out', out, d['out'], *tolerance()
  bias = deformable_attention.offset_bias(heads, len(shapes), points)
  golden = d['sampling_offset_bias_at_init']
  yield 'sampling_offset_bias_at_init', bias, golden, *tolerance()
  # The extractor's queries are the maps that the injector samples.
  patches = _shapes(d['shapes_extractor_224'])
  maps = sampling.cell_centers(_shapes(d['shapes_injector_224']))
  ours = {
    'ref_injector_224': sampling.cell_centers(patches),
    'ref_extractor_224_first40': maps[:40],
    'ref_extractor_224_last49': maps[-49:],
  }
  for name, x in ours.items():
    yield name, x, d[name], *tolerance()


def head(path: pathlib.Path) -> Iterator[common.Difference]:
  """The decoder with both kinds of statistics, and its gradients."""
  d = common.load(path)
  tensors = transformers.prefixed(d, 'sd:')
  module = pyramid_head.PyramidHead(
    len(tensors['out.weight']), jnp.result_type(float)
  )
  features = [jnp.asarray(d[f'f{i}']) for i in range(1, 5)]
  variables = transformers.module_variables(
    module, tensors, features, use_running_average=True
  )

  @jax.jit
  def run(variables, features):
    def value(params, features):
      (logits, _), updated = module.apply(
        variables | {'params': params},
        features,
        use_running_average=False,
        mutable=['batch_stats'],
      )
      return (logits * d['cotangent']).sum(), (logits, updated)

    evaluated, _ = module.apply(variables, features, use_running_average=True)
    return evaluated, jax.grad(value, (0, 1), has_aux=True)(
      variables['params'], features
    )

  evaluated, ((grads, dfeatures), (logits, updated)) = run(variables, features)
  ours = {'logits_eval': evaluated, 'logits_train': logits}
  ours |= {f'df{i}': x for i, x in enumerate(dfeatures, 1)}
  for name, x in ours.items():
    if name in d:
      yield name, x, d[name], *tolerance(d[name])
  yield from after(updated['batch_stats'], d)
  # A batch norm follows these biases: their gradient is rounding.
  arrays = {
    name: x
    for name, x in d.items()
    if not (name.startswith('grad:upscale.smooth_conv') and _is_dead(name))
  }
  for name, x, golden, _, rtol in vfm_networks.gradients(grads, arrays):
    yield name, x, golden, tolerance()[0] * np.abs(golden).max(), rtol


def _is_dead(name: str) -> bool:
  return name.endswith('.bias') and 'conv4' not in name


def after(batch_stats, arrays) -> Iterator[common.Difference]:
  """Running statistics after a pass."""
  ours = state_dict.export(types.Variables({}, batch_stats))
  for name, golden in transformers.prefixed(arrays, 'after:').items():
    if not name.endswith(state_dict.COUNTER):
      yield f'after:{name}', ours[name], golden, *tolerance()


def soma_linear(path: pathlib.Path) -> Iterator[common.Difference]:
  """Splits of single layers, their outputs and gradients."""
  for name, d in common.cases(common.load(path), '.', 'BA'):
    for key, ours in _split(d, largest=name.endswith('.largest')).items():
      yield f'{name}.{key}', ours, d[key], 1e-5, 1e-4


def _split(d: transformers.Tensors, *, largest: bool) -> dict[str, jax.Array]:
  """Recorded values of one layer."""
  rank, alpha = int(d['r']), float(d['alpha'])
  weight, x = jnp.asarray(d['W']), jnp.asarray(d['x'])
  parts = low_rank.split(weight, rank=rank, alpha=alpha, largest=largest)

  def apply(parts):
    return x @ low_rank.merge(parts).T + d['bias']

  # The signs of the factors are arbitrary: those of the reference.
  moved = parts._replace(
    a=jnp.asarray(d['A_moved']), b=jnp.asarray(d['B_moved'])
  )

  def value(a, b):
    return (apply(moved._replace(a=a, b=b)) * d['cotangent']).sum()

  gradient = jax.grad(value, (0, 1))(moved.a, moved.b)
  product = parts.scale * (parts.b @ parts.a)
  # The trained factors' product has the singular values that were taken.
  taken = jnp.linalg.svd(product, compute_uv=False)[:rank]
  return {
    'BA': product,
    'residual': parts.residual,
    'singular_values': jnp.linalg.svd(weight, compute_uv=False),
    'taken_values': taken,
    'y': apply(parts),
    'y_moved': apply(moved),
    'dA': gradient[0],
    'dB': gradient[1],
  }


def soma_schedule(path: pathlib.Path) -> Iterator[common.Difference]:
  """Rates and weight decays of SoMA's configs."""
  d = dict(np.load(path))
  step = jnp.asarray(d['steps'])
  for name, (warmup, ratio) in SOMA_SCHEDULES.items():
    for column, (base, _) in enumerate(SOMA_COLUMNS):
      ours = schedules.warmup_then_poly(
        step,
        base=base,
        num_steps=SOMA_STEPS - 1,
        power=0.9,
        warmup_steps=warmup,
        ratio=ratio,
        first_step=warmup,
      )
      golden = d[name][:, column]
      yield f'{name}.{column}', ours, golden, *tolerance(golden)
  for column, (_, first) in enumerate(SOMA_COLUMNS):
    ours = schedules.cosine_between(
      step, first=first, last=SOMA_LAST_DECAY, num_steps=SOMA_STEPS
    )
    golden = d['weight_decay'][:, column]
    yield f'weight_decay.{column}', ours, golden, *tolerance(golden)


CHECKS = {
  'vfm/feature_distance*.npz': distance,
  'vfm/deform_attn*.npz': deform_attn,
  'vfm/pyramid_head*.npz': head,
  'vfm/soma_linear*.npz': soma_linear,
  'vfm/soma_schedule*.npz': soma_schedule,
}
