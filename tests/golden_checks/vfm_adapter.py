"""The ViT-Adapter on DINOv2: maps, what is inside, gradients, statistics.

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
from tests.golden_checks import vfm_parts
from uda_jax import types
from uda_jax.models import spatial_prior
from uda_jax.models import vit_adapter
from uda_jax.models.weights import state_dict

Tensors = transformers.Tensors
# Every so many rows and columns of each map are recorded.
EVERY = {'f1': 7, 'f2': 4, 'f3': 2, 'f4': 1}


def encoder(tensors: Tensors, **options) -> vit_adapter.DINOv2Adapter:
  """An adapter of the widths of a state dict; heads of the attention alike."""
  plain = vfm_networks.encoder(tensors, heads=1)
  heads = (
    len(tensors['interactions.0.extractor.attn.attention_weights.bias'])
    // vit_adapter.deformable_attention.DeformableAttention(1).points
  )
  return vit_adapter.DINOv2Adapter(
    plain.width,
    plain.depth,
    plain.width // heads,
    ratio=plain.ratio,
    grid=plain.grid,
    stem_width=len(tensors['spm.stem.0.weight']),
    dtype=plain.dtype,
    **options,
  )


def adapter(path: pathlib.Path) -> Iterator[common.Difference]:
  """The encoder with both kinds of statistics."""
  d = common.load(path)
  weights = common.load(path.with_name(f'{path.stem}_weights.npz'))
  tensors = transformers.prefixed(weights, 'sd:')
  module = encoder(tensors)
  image = (jnp.asarray(d['image_uint8'], float) / 255 - 0.5) / 0.25
  variables = transformers.module_variables(module, tensors, image)

  @jax.jit
  def run(variables, image):
    def value(params):
      maps, updated = module.apply(
        variables | {'params': params},
        image,
        use_running_average=False,
        mutable=['batch_stats'],
      )
      return sum((x**3).mean() for x in maps), (maps, updated)

    inside = module.apply(
      variables,
      image,
      capture_intermediates=lambda m, _: isinstance(
        m,
        spatial_prior.SpatialPrior
        | vit_adapter.Injector
        | vit_adapter.Interaction,
      ),
    )
    return inside, jax.value_and_grad(value, has_aux=True)(variables['params'])

  (evaluated, taps), ((loss, (trained, updated)), grads) = run(variables, image)
  for kind, maps in (('eval', evaluated), ('train', trained)):
    for (name, every), x in zip(EVERY.items(), maps):
      parts = {
        name: x[:, ::every, ::every],
        f'{name}_mean': x.mean((1, 2)),
        f'{name}_std': x.std((1, 2)),
      }
      for key, value in parts.items():
        key = f'{kind}.{key}'
        yield key, value, d[key], *vfm_networks.tolerance()
  for key, value in _inside(taps['intermediates']).items():
    yield key, value, d[key], *vfm_networks.tolerance()
  golden = d['loss_sum_of_mean_cubes']
  yield 'loss_sum_of_mean_cubes', loss, golden, *vfm_networks.tolerance()
  yield from vfm_parts.after(updated['batch_stats'], d)
  ours = state_dict.export(types.Variables(grads, {}))
  names = [str(name) for name in d['grad_names']]
  yield 'grad_names', sorted(ours), sorted(names), *common.EXACT
  for key, measure in (('grad_l2', np.linalg.norm), ('grad_sum', np.sum)):
    values = np.array([measure(ours[name].ravel()) for name in names])
    yield key, values, d[key], *vfm_networks.tolerance()


def _inside(taps) -> Tensors:
  """Recorded tokens of the first exchange."""
  maps = vit_adapter.to_tokens
  first, *others = taps['spm']['__call__'][0]
  exchange = taps['interactions']['0']
  x, cls, c = exchange['__call__'][0]
  injected = exchange['injector']['__call__'][0]
  c2, c3, c4 = (maps([x]) for x in others)
  return {
    'spm.c1_every7': first[:, ::7, ::7],
    'spm.c2_every29': c2[:, ::29],
    'spm.c3_every13': c3[:, ::13],
    'spm.c4': c4,
    'injector0_out_every5': injected[:, ::5],
    'interaction0_x_every5': x[:, ::5],
    'interaction0_c_every41': c[:, ::41],
    'interaction0_cls': cls,
  }


CHECKS = {'vfm/adapter*.npz': adapter}
