"""Low-rank adapters of a transformer's dense layers, over its parameter tree.

An adapted layer has two small matrices `lora_a` and `lora_b` beside its kernel;
they train, the encoder's other arrays do not. LoRA (arXiv 2106.09685) starts
from a product of 0, SoMA (arXiv 2412.04077) from the components of the smallest
singular values, which leave the kernel. `merged` makes plain parameters, which
every network takes: nothing here depends on the architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import types
from uda_jax.models import low_rank

PyTree = types.PyTree

A, B = 'lora_a', 'lora_b'
KINDS = ('', 'soma', 'lora')
ENCODER = 'backbone'
# Kernels that hold those of several layers side by side: each has adapters of
# its own, as the authors' separate layers have.
_JOINED = {'qkv': 3, 'kv': 2}
# Parts of a ViT-Adapter that are not of the pretrained transformer.
_NEW = ('level_embed', 'spm', 'interactions', 'up')
_NEW_NORMS = ('norm1', 'norm2', 'norm3', 'norm4')


class Rule(NamedTuple):
  """Adapters of a run, see `rule`.

  Attributes:
    kind: 'soma' or 'lora'.
    rank: columns of `lora_b`.
    alpha: the product is multiplied by alpha / rank.
    layers: regular expressions of the paths of adapted kernels.
  """

  kind: str
  rank: int
  alpha: float
  layers: tuple[str, ...]

  @property
  def scale(self) -> float:
    """Factor of the product of the two matrices."""
    return self.alpha / self.rank


def rule(config: types.Config) -> Rule | None:
  """Returns the adapters of `config.optim`, None for ''.

  Fields: `adapters` ('', 'soma' or 'lora') and the block `low_rank`: `rank`,
  `alpha`, and `layers`, regular expressions that are searched in the paths of
  kernels, such as 'backbone/blocks/0/attn/qkv/kernel'.

  Raises:
    ValueError: a field is wrong.
  """
  kind = config.get('adapters', '')
  if kind not in KINDS:
    raise ValueError(
      f'config.optim.adapters: expected one of {", ".join(map(repr, KINDS))}, '
      f'got {kind!r}'
    )
  if not kind:
    return None
  block = config.low_rank
  if type(block.rank) is not int or block.rank < 1:
    raise ValueError(
      'config.optim.low_rank.rank: expected a whole number, 1 or more, got '
      f'{block.rank!r}'
    )
  if not block.alpha > 0:
    raise ValueError(
      'config.optim.low_rank.alpha: expected a number above 0, got '
      f'{block.alpha!r}'
    )
  for pattern in block.layers:
    try:
      re.compile(pattern)
    except (re.error, TypeError) as error:
      raise ValueError(
        'config.optim.low_rank.layers: expected regular expressions, got '
        f'{pattern!r} ({error})'
      ) from error
  return Rule(kind, block.rank, float(block.alpha), tuple(block.layers))


def _modules(
  params: Mapping[str, Any],
  change: Callable[[tuple[str, ...], dict[str, Any]], dict[str, Any]],
  path: tuple[str, ...] = (),
) -> dict[str, Any]:
  """Returns the tree with `change(path, module)` in place of each module."""
  below = {
    name: _modules(value, change, (*path, name))
    if isinstance(value, Mapping)
    else value
    for name, value in params.items()
  }
  return change(path, below)


def _is_pretrained(path: tuple[str, ...], params: Mapping[str, Any]) -> bool:
  """Returns whether a path belongs to the pretrained encoder."""
  if not path or path[0] != ENCODER:
    return False
  new = (*_NEW, *_NEW_NORMS) if 'interactions' in params[ENCODER] else ()
  return len(path) < 2 or path[1] not in new


def adapt(rule: Rule, params: PyTree, key: jax.Array) -> PyTree:
  """Adds adapters to the chosen dense layers of the encoder.

  Args:
    rule: which, and how they start.
    params: of a network with an encoder 'backbone'.
    key: for LoRA's first matrix.

  Returns:
    The parameters with `lora_a` [layers, rank, in] and `lora_b` [layers, out,
    rank] beside each chosen kernel. The network computes what it did: to the
    bit with LoRA, to rounding with SoMA.

  Raises:
    ValueError: no layer is chosen, or one has a side below the rank.
  """
  found = []

  def change(path, module):
    kernel = module.get('kernel')
    name = '/'.join((*path, 'kernel'))
    if (
      getattr(kernel, 'ndim', 0) != 2
      or not _is_pretrained(path, params)
      or not any(re.search(pattern, name) for pattern in rule.layers)
    ):
      return module
    found.append(name)
    return module | _started(
      rule, name, kernel, jax.random.fold_in(key, len(found))
    )

  changed = _modules(params, change)
  if not found:
    raise ValueError(
      'config.optim.low_rank.layers: expected patterns of dense layers of a '
      f'transformer in {ENCODER!r}, but {rule.layers} match no kernel of two '
      'axes'
    )
  return changed


def _started(
  rule: Rule, name: str, kernel: jax.Array, key: jax.Array
) -> dict[str, jax.Array]:
  """Returns kernel and adapters of a layer before the first step."""
  count = _JOINED.get(name.split('/')[-2], 1)
  inputs, outputs = kernel.shape[0], kernel.shape[1] // count
  if rule.rank > min(inputs, outputs):
    raise ValueError(
      f'config.optim.low_rank.rank: expected at most {min(inputs, outputs)}, '
      f'the shorter side of {name}, got {rule.rank}'
    )
  if rule.kind == 'lora':
    bound = inputs**-0.5
    a = jax.random.uniform(
      key, (count, rule.rank, inputs), kernel.dtype, -bound, bound
    )
    return {A: a, B: jnp.zeros((count, outputs, rule.rank), kernel.dtype)}
  weights = jnp.moveaxis(kernel.reshape(inputs, count, outputs), 0, 2)
  parts = [
    low_rank.split(weight, rank=rule.rank, alpha=rule.alpha)
    for weight in weights
  ]
  residual = jnp.stack([part.residual for part in parts])
  return {
    'kernel': jnp.moveaxis(residual, 2, 0).reshape(kernel.shape),
    A: jnp.stack([part.a for part in parts]),
    B: jnp.stack([part.b for part in parts]),
  }


def is_adapted(params: PyTree) -> bool:
  """Returns whether any layer has adapters."""
  return any(
    path[-1].key == A for path, _ in jax.tree_util.tree_leaves_with_path(params)
  )


def merged(params: PyTree, scale: float) -> PyTree:
  """Returns plain parameters: kernels with the adapters' products added.

  Args:
    params: with or without adapters.
    scale: `Rule.scale`.
  """

  def change(path, module):
    del path
    if A not in module:
      return module
    a, b, kernel = module.pop(A), module.pop(B), module['kernel']
    product = jnp.einsum('por,pri->ipo', b, a, precision='highest')
    return module | {'kernel': kernel + scale * product.reshape(kernel.shape)}

  return _modules(params, change)


def trained(rule: Rule, params: PyTree) -> PyTree:
  """Returns a tree of bools, True where a parameter trains.

  The adapters, everything outside of the pretrained encoder, its mask token
  and, as SoMA has it, the biases of the adapted layers.

  Args:
    rule: of the adapters.
    params: with adapters, or their shapes.
  """

  def change(path, module):
    biases = rule.kind == 'soma' and A in module

    def trains(name):
      if not _is_pretrained((*path, name), params):
        return True
      return name in (A, B, 'mask_token') or (biases and name == 'bias')

    return {
      name: value if isinstance(value, Mapping) else trains(name)
      for name, value in module.items()
    }

  return _modules(params, change)


def wrap(network: types.Network, scale: float) -> types.Network:
  """Returns the network on parameters with adapters.

  Args:
    network: on plain parameters; its `init` makes those.
    scale: `Rule.scale`.
  """

  def forward(params, *args, **options):
    return network.forward(merged(params, scale), *args, **options)

  return network._replace(forward=forward)
