"""Counted operations of programs whose number is known."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks import flops

X = jax.ShapeDtypeStruct((4, 8), jnp.float32)
W = jax.ShapeDtypeStruct((8, 8), jnp.float32)


def test_products_loops_and_gradients():
  once = 2 * 4 * 8 * 8
  assert flops.count(jnp.dot, X, W) == once
  assert (
    flops.count(
      jax.jit(
        lambda x, w: jax.lax.scan(lambda y, _: (y @ w, None), x, length=5)[0]
      ),
      X,
      W,
    )
    == 5 * once
  )
  # Forward, and one product for the gradient of each argument.
  assert flops.count(jax.grad(lambda x, w: (x @ w).sum(), (0, 1)), X, W) == (
    3 * once
  )


def test_grouped_convolutions():
  image = jax.ShapeDtypeStruct((2, 5, 5, 8), jnp.float32)
  kernel = jax.ShapeDtypeStruct((3, 3, 2, 12), jnp.float32)
  conv = lambda x, k: jax.lax.conv_general_dilated(
    x,
    k,
    (1, 1),
    'SAME',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=4,
  )
  assert flops.count(conv, image, kernel) == 2 * (2 * 5 * 5 * 12) * 9 * 2


def test_an_open_loop_is_refused():
  with pytest.raises(ValueError, match='while'):
    flops.count(
      lambda x: jax.lax.while_loop(lambda y: y.sum() < 9, lambda y: y + 1, x), X
    )
