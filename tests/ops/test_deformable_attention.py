"""Bilinear samples of several maps, against a loop over the points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.models import deformable_attention as module_lib
from uda_jax.ops import deformable_attention

# Large enough that cells have numbers beyond 16 bits' whole numbers.
SHAPES = ((64, 128), (5, 3))


def sampled(maps, location, weight):
  """Sum over maps and points, of one query of one head: [D] float64."""
  total = np.zeros(maps[0].shape[-1])
  for x, places, shares in zip(maps, location, weight):
    rows, columns = x.shape[:2]
    for (right, down), share in zip(places, shares):
      c, r = right * columns - 0.5, down * rows - 0.5
      for i in (int(np.floor(r)), int(np.floor(r)) + 1):
        for j in (int(np.floor(c)), int(np.floor(c)) + 1):
          if 0 <= i < rows and 0 <= j < columns:
            total += share * (1 - abs(r - i)) * (1 - abs(c - j)) * x[i, j]
  return total


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_samples_lie_between_the_right_cells_of_large_maps(dtype):
  random = np.random.default_rng(0)
  # Exact in bfloat16.
  maps = [random.integers(-8, 9, (*shape, 2)) / 8 for shape in SHAPES]
  location = random.uniform(-0.1, 1.1, (9, 2, 4, 2))
  weight = random.uniform(0, 1, (9, 2, 4))
  tokens = np.concatenate([x.reshape(-1, 2) for x in maps])
  got = deformable_attention.sample(
    jnp.asarray(tokens, dtype)[None, :, None],
    SHAPES,
    jnp.asarray(location, jnp.float32)[None, :, None],
    jnp.asarray(weight, jnp.float32)[None, :, None],
  )
  assert got.dtype == dtype
  expected = [sampled(maps, *args) for args in zip(location, weight)]
  tolerance = {jnp.float32: 2e-5, jnp.bfloat16: 5e-2}[dtype]
  np.testing.assert_allclose(got[0].astype(float), expected, atol=tolerance)


def test_a_layer_in_16_bits_looks_at_the_cells_of_one_in_32_bits():
  random = np.random.default_rng(0)
  (rows, columns), width = SHAPES[0], 8
  # Neighbors differ, so that a sample of another cell shows.
  tokens = random.normal(size=(1, rows * columns, width))
  query = random.normal(size=(1, 12, width))
  reference = random.uniform(0, 1, (12, 2))
  results = []
  for dtype in (jnp.float32, jnp.bfloat16):
    layer = module_lib.DeformableAttention(2, ratio=1.0, dtype=dtype)
    args = (query.astype(dtype), reference, tokens.astype(dtype), SHAPES[:1])
    variables = layer.init(jax.random.key(0), *args)
    for name in ('value_proj', 'output_proj'):
      variables['params'][name]['kernel'] = jnp.eye(width)
    results.append(layer.apply(variables, *args).astype(float))
  np.testing.assert_allclose(*results, atol=0.05)
