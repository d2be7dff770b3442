"""The forms that an operator can take, timed against each other.

  python -m benchmarks.operators                # all, on this device
  python -m benchmarks.operators --only=attention --dtype=bfloat16

One JSON line an operator: seconds of a forward and backward pass of each form,
at the shapes of the networks (two crops of --crop pixels). The forms take turns
in one process, so that their ratio holds on a busy machine.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import json
import statistics
import time

from absl import app
from absl import flags
import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import attention
from uda_jax.models import depthwise
from uda_jax.models import layers

_CROP = flags.DEFINE_integer('crop', 512, 'Side of the crops in pixels.')
_DTYPE = flags.DEFINE_enum(
  'dtype', 'float32', ['float32', 'bfloat16'], 'Compute dtype.'
)
_REPEATS = flags.DEFINE_integer('repeats', 10, 'Passes that are timed.')
_ONLY = flags.DEFINE_string('only', '', 'One operator; all if empty.')

# Form -> function of the inputs, which come second.
Forms = tuple[dict[str, Callable], tuple[jax.Array, ...]]


def _random(*shape: int) -> jax.Array:
  return jax.random.normal(jax.random.key(sum(shape)), shape, _DTYPE.value)


def _depthwise() -> Forms:
  """Mix-FFN's, stage 3 of MiT-B5."""
  side = _CROP.value // 16
  padding = ((1, 1), (1, 1))
  forms = {
    form: functools.partial(
      depthwise.convolve, stride=1, dilation=1, padding=padding, form=form
    )
    for form in ('conv', 'shifted')
  }
  return forms, (_random(2, side, side, 1280), _random(3, 3, 1, 1280))


def _max_pool() -> Forms:
  """DeepLab's, under its stem."""
  side = _CROP.value // 2
  forms = {
    'shifted maxima': functools.partial(
      layers.max_pool, size=3, stride=2, padding=1
    ),
    'reduce_window': lambda x: nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))),
  }
  return forms, (_random(2, side, side, 64),)


def _pointwise() -> Forms:
  """A 1x1 convolution of DeepLab's third stage."""
  side = _CROP.value // 8
  forms = {
    'matmul': lambda x, kernel: x @ kernel[0, 0],
    'conv': lambda x, kernel: jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    ),
  }
  return forms, (_random(2, side, side, 1024), _random(1, 1, 1024, 256))


def _attention() -> Forms:
  """Stage 1 of MiT-B5: every fourth pixel looks at one cell in 32."""
  queries, keys = (_CROP.value // 4) ** 2, (_CROP.value // 32) ** 2
  names = ['xla']
  # cuDNN has it in 16 bits only.
  if jax.default_backend() == 'gpu' and _DTYPE.value == 'bfloat16':
    names.append('cudnn')
  forms = {
    name: functools.partial(attention.attend, implementation=name)
    for name in names
  }
  return forms, (
    _random(2, queries, 1, 64),
    _random(2, keys, 1, 64),
    _random(2, keys, 1, 64),
  )


OPERATORS = {
  'depthwise': _depthwise,
  'max_pool': _max_pool,
  'pointwise': _pointwise,
  'attention': _attention,
}


def compare(name: str) -> dict:
  """Times the forms of one operator, in turns."""
  forms, inputs = OPERATORS[name]()

  def make(form):
    def loss(inputs):
      return jnp.square(form(*inputs).astype(jnp.float32)).sum()

    return jax.jit(jax.grad(loss))

  passes = {title: make(form) for title, form in forms.items()}
  seconds = {title: [] for title in forms}
  for _ in range(_REPEATS.value + 1):
    for title, run in passes.items():
      begin = time.perf_counter()
      jax.block_until_ready(run(inputs))
      seconds[title].append(time.perf_counter() - begin)
  return dict(
    operator=name,
    framework=f'jax {jax.__version__}',
    device=jax.devices()[0].device_kind,
    dtype=_DTYPE.value,
    shapes=[list(x.shape) for x in inputs],
    # The first pass compiles.
    seconds={
      title: round(statistics.median(times[1:]), 6)
      for title, times in seconds.items()
    },
  )


def main(argv):
  """Prints a line an operator."""
  del argv
  names = [_ONLY.value] if _ONLY.value else list(OPERATORS)
  if not set(names) <= set(OPERATORS):
    raise app.UsageError(
      f'--only: expected one of {list(OPERATORS)}, got {_ONLY.value!r}'
    )
  for name in names:
    print(json.dumps(compare(name)), flush=True)


if __name__ == '__main__':
  app.run(main)
