"""Makes the pure functions of a `types.Network` from a linen module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax import types
from uda_jax.models import preprocessing as preprocessing_lib

DTYPES = ('float32', 'bfloat16', 'float64')


def compute_dtype(config: types.Config) -> jnp.dtype:
  """Returns the dtype that `config.model.dtype` names."""
  if config.dtype not in DTYPES:
    raise ValueError(
      f'config.model.dtype: got {config.dtype!r}, expected one of {DTYPES}.'
    )
  if config.dtype == 'float64' and not jax.config.read('jax_enable_x64'):
    raise ValueError(
      "config.model.dtype: 'float64' needs JAX_ENABLE_X64=1, without which "
      'JAX computes in float32.'
    )
  return jnp.dtype(config.dtype)


# Returns a kernel's initial value from its path and standard normal noise of
# its shape.
KernelInit = Callable[[tuple[str, ...], jax.Array], jax.Array]


def he(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
  """Returns He's initial value (for ReLU) of a kernel [..., in, out]."""
  del path
  return noise * math.sqrt(2 / math.prod(noise.shape[:-1]))


class Head(NamedTuple):
  """An extra module of a network, for `Network.head`.

  Attributes:
    key: name of its variables.
    module: called as `module(features, use_running_average=,
      deterministic=)`.
    example: returns features for the module from the network's outputs.
    kernel_init: initial value of its kernels.
  """

  key: str
  module: nn.Module
  example: Callable[[types.Outputs], Any]
  kernel_init: KernelInit


def from_module(
  module: nn.Module,
  preprocessing: preprocessing_lib.Preprocessing,
  *,
  kernel_init: KernelInit = he,
  heads: Mapping[str, Head] = {},
  takes_detail: bool = False,
  mask_size: Callable[[tuple[int, int]], tuple[int, int]] | None = None,
) -> types.Network:
  """Returns the pure functions of a module.

  Args:
    module: called as `module(image, use_running_average=, deterministic=)`,
      returns `Outputs`.
    preprocessing: from pixels to the input of the module.
    kernel_init: initial value of kernels.
    heads: extra modules by their name in `Network.head`.
    takes_detail: whether the module takes `detail=` too.
    mask_size: of a module that takes `mask=`, see `types.Network`.

  Returns:
    The network; `init` gives random initial values.
  """
  fresh = _fresh(module, kernel_init, heads)

  def init(key: jax.Array, image_size: tuple[int, int]) -> types.Variables:
    return fresh(key, jnp.zeros((1, *image_size, len(preprocessing.mean))))

  return types.Network(
    init=init,
    forward=_forward(module, takes_detail, takes_mask=mask_size is not None),
    normalize=preprocessing.normalize,
    denormalize=preprocessing.denormalize,
    head=_apply_head(heads) if heads else None,
    mask_size=mask_size,
  )


def apply(
  module: nn.Module,
  params: types.PyTree,
  batch_stats: types.PyTree,
  x: Any,
  *,
  key: jax.Array | None,
  use_running_average: bool,
  **options,
) -> tuple[Any, types.PyTree]:
  """Applies a module; returns its result and the batch statistics after it.

  Args:
    module: called as `module(x, use_running_average=, deterministic=)`.
    params: its parameters.
    batch_stats: its running statistics of batch norm.
    x: its input.
    key: turns dropout on; None: off.
    use_running_average: batch norm's switch.
    **options: further arguments of the module.
  """
  result, updated = module.apply(
    {'params': params, 'batch_stats': batch_stats},
    x,
    use_running_average=use_running_average,
    deterministic=key is None,
    rngs={} if key is None else {'dropout': key},
    mutable=[] if use_running_average else ['batch_stats'],
    **options,
  )
  return result, updated.get('batch_stats', batch_stats)


def _forward(module: nn.Module, takes_detail: bool, takes_mask: bool):
  """Returns `Network.forward`, see there."""

  def forward(
    params,
    batch_stats,
    image,
    *,
    key=None,
    use_running_average=False,
    detail=None,
    mask=None,
  ):
    if mask is not None and not takes_mask:
      raise ValueError(
        f'{type(module).__name__} takes no mask: mask must be None.'
      )
    if detail is not None and not takes_detail:
      raise ValueError(
        f'{type(module).__name__} has no detail crops: detail must be None.'
      )
    extra = {'detail': detail} if takes_detail else {}
    extra |= {} if mask is None else {'mask': mask}
    return apply(
      module,
      params,
      batch_stats,
      image,
      key=key,
      use_running_average=use_running_average,
      **extra,
    )

  return forward


def _fresh(
  module: nn.Module, kernel_init: KernelInit, heads: Mapping[str, Head]
):
  """Returns f(key, image) -> Variables with initial values."""
  inits = {head.key: head.kernel_init for head in heads.values()}

  def init_kernel(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    if path[0] in inits:
      return inits[path[0]](path[1:], noise)
    return kernel_init(path, noise)

  @jax.jit  # compiled, the unused forward pass is left out
  def fresh(key: jax.Array, image: jax.Array) -> types.Variables:
    module_key, kernel_key = jax.random.split(key)
    outputs, variables = module.init_with_output(
      module_key, image, use_running_average=True, deterministic=True
    )
    params = variables['params']
    stats = variables.get('batch_stats', {})
    for i, head in enumerate(heads.values()):
      own = head.module.init(
        jax.random.fold_in(key, i),
        head.example(outputs),
        use_running_average=True,
        deterministic=True,
      )
      params = params | {head.key: own['params']}
      if 'batch_stats' in own:
        stats = stats | {head.key: own['batch_stats']}
    return types.Variables(
      _draw_kernels(kernel_key, params, init_kernel), stats
    )

  return fresh


def _apply_head(heads: Mapping[str, Head]):
  """Returns `Network.head`, see there."""

  def apply_head(
    name, params, batch_stats, features, *, key=None, use_running_average=False
  ):
    if name not in heads:
      raise ValueError(
        f'head {name!r}: the network has {sorted(heads)}; see '
        'config.model.heads.'
      )
    own = heads[name]
    result, updated = apply(
      own.module,
      params[own.key],
      batch_stats.get(own.key, {}),
      features,
      key=key,
      use_running_average=use_running_average,
    )
    if own.key in batch_stats:
      batch_stats = {**batch_stats, own.key: updated}
    return result, batch_stats

  return apply_head


def _draw_kernels(
  key: jax.Array, params: types.PyTree, kernel_init: KernelInit
) -> types.PyTree:
  """Returns the parameters with kernels made from normal noise.

  All are slices of one draw: XLA:CPU compiles every draw for some 0.2 s, and
  seconds where its shape has four dimensions.
  """
  leaves, tree = jax.tree_util.tree_flatten_with_path(params)
  is_kernel = [path[-1].key == 'kernel' for path, _ in leaves]
  total = sum(x.size for (_, x), chosen in zip(leaves, is_kernel) if chosen)
  dtype = leaves[0][1].dtype
  noise = jax.random.normal(key, (total,), dtype)
  values, begin = [], 0
  for (path, x), chosen in zip(leaves, is_kernel):
    if chosen:
      piece = noise[begin : begin + x.size].reshape(x.shape)
      begin += x.size
      x = kernel_init(tuple(key.key for key in path), piece)
    values.append(x)
  return jax.tree.unflatten(tree, values)


def named(field: str, name: str, table: dict[str, Callable]) -> Callable:
  """Returns a row of a table, by a field of `config.model`.

  Raises:
    ValueError: there is no such row.
  """
  if name not in table:
    raise ValueError(
      f'config.model.{field}: got {name!r}, expected one of {sorted(table)}.'
    )
  return table[name]
