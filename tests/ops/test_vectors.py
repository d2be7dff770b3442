"""Unit vectors: values, and the gradient of zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.ops import vectors


def test_zeros_stay_and_have_gradient_zero():
  x = jnp.array([[3.0, 4.0], [0.0, 0.0]])
  np.testing.assert_allclose(vectors.unit_vectors(x), [[0.6, 0.8], [0, 0]])
  gradient = jax.grad(lambda x: vectors.unit_vectors(x)[:, 0].sum())(x)
  np.testing.assert_allclose(gradient, [[0.128, -0.096], [0, 0]], rtol=1e-5)


def test_the_dtype_is_kept():
  assert vectors.unit_vectors(jnp.ones(3, jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize('scale', [1e-4, 100.0])
def test_squares_that_float16_does_not_hold(scale):
  x = scale * jnp.array([[3.0, 4.0]], jnp.float16)
  np.testing.assert_allclose(vectors.unit_vectors(x), [[0.6, 0.8]], rtol=1e-3)
  gradient = jax.grad(lambda x: vectors.unit_vectors(x)[0, 0])(x)
  assert np.isfinite(gradient).all()


def test_integers_become_float():
  found = vectors.unit_vectors(jnp.array([[3, 4]]))
  np.testing.assert_allclose(found, [[0.6, 0.8]], rtol=1e-6)
