"""From a linen module to the `Network` that the rest of the library knows."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax import state
from uda_jax.models import preprocessing as preprocessing_lib
from uda_jax.models import weights


def from_module(
    module: nn.Module,
    preprocessing: preprocessing_lib.Preprocessing,
    *,
    importer: weights.Importer | None = None,
) -> state.Network:
  """Returns the pure functions of a module.

  Args:
    module: called as `module(image, use_running_average=, deterministic=)`,
      returns `Outputs`.
    preprocessing: what the weights were (or will be) trained on.
    importer: weight file that `init` loads; None: from scratch.
  """

  def init(key: jax.Array, image_size: tuple[int, int]) -> state.Net:
    @jax.jit  # compiled, the unused forward pass is left out
    def fresh(key: jax.Array) -> state.Net:
      variables = module.init(
          key,
          jnp.zeros((1, *image_size, 3)),
          use_running_average=True,
          deterministic=True,
      )
      return state.Net(variables['params'], variables.get('batch_stats', {}))

    net = fresh(key)
    return net if importer is None else weights.load(importer, net)

  def forward(
      params,
      batch_stats,
      image,
      *,
      key=None,
      use_running_average=False,
      detail=None,
  ):
    if detail is not None:
      raise ValueError(
          f'{type(module).__name__} has no detail crops: detail must be None.'
      )
    outputs, updated = module.apply(
        {'params': params, 'batch_stats': batch_stats},
        image,
        use_running_average=use_running_average,
        deterministic=key is None,
        rngs={} if key is None else {'dropout': key},
        mutable=[] if use_running_average else ['batch_stats'],
    )
    return outputs, updated.get('batch_stats', batch_stats)

  return state.Network(
      init=init,
      forward=forward,
      normalise=preprocessing.normalise,
      denormalise=preprocessing.denormalise,
  )
