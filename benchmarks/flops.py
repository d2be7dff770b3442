"""Floating-point operations of a function, counted in its traced program.

Products and convolutions alone, as papers count them; XLA's own analysis counts
the body of a loop once, however often it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import math

import jax
from jax.extend import core


def count(function: Callable, *args) -> int:
  """Returns the operations (two a multiply-add) of `function(*args)`.

  Args:
    function: anything that can be traced.
    args: arrays or their shapes.
  """
  return of(jax.make_jaxpr(function)(*args).jaxpr)


def of(jaxpr: core.Jaxpr) -> int:
  """Returns the operations of a traced program; of one device in shard_map."""
  return _count(jaxpr)


def _count(jaxpr: core.Jaxpr) -> int:
  return sum(_equation(eqn) for eqn in jaxpr.eqns)


def _equation(eqn) -> int:
  name = eqn.primitive.name
  if name == 'dot_general':
    (contracted, _), _ = eqn.params['dimension_numbers']
    shape = eqn.invars[0].aval.shape
    return (
      2
      * eqn.outvars[0].aval.size
      * math.prod(shape[axis] for axis in contracted)
    )
  if name == 'conv_general_dilated':
    kernel = eqn.invars[1].aval
    outputs = kernel.shape[eqn.params['dimension_numbers'].rhs_spec[0]]
    return 2 * eqn.outvars[0].aval.size * kernel.size // outputs
  if name == 'while':
    raise ValueError('flops: a while loop has no fixed number of operations')
  if name == 'cond':
    return max(_count(branch.jaxpr) for branch in eqn.params['branches'])
  times = eqn.params['length'] if name == 'scan' else 1
  return times * sum(map(_count, _inner(eqn.params)))


def _inner(params) -> Iterator[core.Jaxpr]:
  for value in params.values():
    if isinstance(value, core.ClosedJaxpr):
      yield value.jaxpr
    elif isinstance(value, core.Jaxpr):
      yield value
