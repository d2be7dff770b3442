"""Times of the implementations of an operator.

  python -m benchmarks.operators                # all, on this device
  python -m benchmarks.operators --only=attention --dtype=bfloat16

One JSON line an operator: seconds of a forward and backward pass of each form,
at the shapes of the networks (two crops of --crop pixels). The forms take turns
in one process, so that their ratio holds on a busy machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
import functools
import json
import statistics
import time

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks import targets
from uda_jax import cli
from uda_jax import flag_values
from uda_jax.models import attention
from uda_jax.models import depthwise
from uda_jax.models import pooling

# Form -> function of the inputs, which come second.
Forms = tuple[Mapping[str, Callable], tuple[jax.Array, ...]]


def _random(dtype: str, *shape: int) -> jax.Array:
  return jax.random.normal(jax.random.key(sum(shape)), shape, dtype)


def _depthwise(crop: int, dtype: str) -> Forms:
  """Mix-FFN's, stage 3 of MiT-B5."""
  side = crop // 16
  padding = ((1, 1), (1, 1))
  forms = {
    form: functools.partial(
      depthwise.convolve, stride=1, dilation=1, padding=padding, form=form
    )
    for form in ('conv', 'shifted')
  }
  return forms, (
    _random(dtype, 2, side, side, 1280),
    _random(dtype, 3, 3, 1, 1280),
  )


def _max_pool(crop: int, dtype: str) -> Forms:
  """DeepLab's, under its stem."""
  side = crop // 2
  forms: dict[str, Callable] = {
    'shifted maxima': functools.partial(
      pooling.max_pool, size=3, stride=2, padding=1
    ),
    'reduce_window': lambda x: nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))),
  }
  return forms, (_random(dtype, 2, side, side, 64),)


def _pointwise(crop: int, dtype: str) -> Forms:
  """A 1x1 convolution of DeepLab's third stage."""
  side = crop // 8
  forms: dict[str, Callable] = {
    'matmul': lambda x, kernel: x @ kernel[0, 0],
    'conv': lambda x, kernel: jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    ),
  }
  return forms, (
    _random(dtype, 2, side, side, 1024),
    _random(dtype, 1, 1, 1024, 256),
  )


def _attention(crop: int, dtype: str) -> Forms:
  """Stage 1 of MiT-B5: every fourth pixel looks at one cell in 32."""
  queries, keys = (crop // 4) ** 2, (crop // 32) ** 2
  names = ['plain', 'blockwise']
  if kernel := attention.fused(dtype):
    names.append(kernel)
  forms = {
    name: functools.partial(attention.attend, rule=attention.Rule(name, 0))
    for name in names
  }
  return forms, (
    _random(dtype, 2, queries, 1, 64),
    _random(dtype, 2, keys, 1, 64),
    _random(dtype, 2, keys, 1, 64),
  )


OPERATORS = {
  'depthwise': _depthwise,
  'max_pool': _max_pool,
  'pointwise': _pointwise,
  'attention': _attention,
}


def compare(
  name: str,
  forms: Mapping[str, Callable],
  inputs: tuple[jax.Array, ...],
  repeats: int,
) -> dict:
  """Times the implementations of one operator, in turns."""

  def make(form):
    def loss(inputs):
      return jnp.square(form(*inputs).astype(jnp.float32)).sum()

    return jax.jit(jax.grad(loss))

  passes = {title: make(form) for title, form in forms.items()}
  seconds: dict[str, list[float]] = {title: [] for title in forms}
  for _ in range(repeats + 1):
    for title, run in passes.items():
      begin = time.perf_counter()
      jax.block_until_ready(run(inputs))
      seconds[title].append(time.perf_counter() - begin)
  return dict(
    operator=name,
    framework=f'jax {jax.__version__}',
    device=jax.devices()[0].device_kind,
    dtype=str(inputs[0].dtype),
    shapes=[list(x.shape) for x in inputs],
    # The first pass compiles.
    seconds={
      title: round(statistics.median(times[1:]), 6)
      for title, times in seconds.items()
    },
  )


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.operators', __doc__)
  group = result.add_argument_group('operators')
  group.add_argument(
    '--only',
    choices=tuple(OPERATORS),
    help='one operator; default: all',
  )
  group.add_argument(
    '--crop',
    type=flag_values.at_least(32),
    default=512,
    metavar='N',
    help='height and width of the crops in pixels; default: 512',
  )
  targets.add_timing(group)
  return result


def operators(args: argparse.Namespace) -> None:
  """Prints one line for each operator."""
  for name in [args.only] if args.only else OPERATORS:
    forms, inputs = OPERATORS[name](args.crop, args.dtype)
    print(json.dumps(compare(name, forms, inputs, args.repeats)), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), operators, argv)


if __name__ == '__main__':
  main()
