"""Resizing: equal to reference values, on every path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.ops import resize


def _image(height=6, width=10, seed=0):
  return (
    np.random.default_rng(seed)
    .normal(size=(2, height, width, 3))
    .astype(np.float32)
  )


def _by_hand(x, out, axis, align_corners):
  """One axis, pixel by pixel, in float64."""
  n = x.shape[axis]
  x = np.moveaxis(x.astype(np.float64), axis, 0)
  rows = []
  for i in range(out):
    source = (
      i * (n - 1) / max(out - 1, 1)
      if align_corners
      else (i + 0.5) * n / out - 0.5
    )
    source = min(max(source, 0), n - 1)
    low = int(source)
    high = min(low + 1, n - 1)
    rows.append((1 - source + low) * x[low] + (source - low) * x[high])
  return np.moveaxis(np.stack(rows), 0, axis)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(
  'size', [(6, 10), (12, 20), (24, 30), (3, 5), (2, 2), (1, 1), (7, 9), (13, 4)]
)
def test_bilinear_equals_the_definition(size, align_corners):
  x = _image()
  expected = _by_hand(
    _by_hand(x, size[0], 1, align_corners), size[1], 2, align_corners
  )
  ours = resize.bilinear(jnp.asarray(x), size, align_corners=align_corners)
  np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_known_values():
  row = jnp.asarray([0.0, 1.0, 5.0, 9.0])[None, :, None]
  np.testing.assert_allclose(
    resize.bilinear(row, (1, 2))[0, :, 0], [0.5, 7]
  )  # No antialiasing.
  np.testing.assert_allclose(
    resize.bilinear(row[:, :2], (1, 4))[0, :, 0], [0, 0.25, 0.75, 1]
  )
  np.testing.assert_allclose(
    resize.bilinear(row[:, :2], (1, 3), align_corners=True)[0, :, 0],
    [0, 0.5, 1],
  )


def test_the_gradient_is_the_transpose():
  x = jnp.asarray(_image())
  for size in ((12, 20), (3, 5), (7, 9)):
    y = resize.bilinear(x, size)
    g = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    back = jax.grad(
      lambda x, size=size, g=g: jnp.vdot(resize.bilinear(x, size), g)
    )(x)
    np.testing.assert_allclose(jnp.vdot(back, x), jnp.vdot(y, g), rtol=1e-4)


def test_constants_stay_and_dtypes_too():
  for dtype in (jnp.float32, jnp.bfloat16):
    ours = resize.bilinear(jnp.full((4, 6, 2), 3, dtype), (9, 3))
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours.astype(float), 3, rtol=1e-2)
  with jax.enable_x64(True):
    assert resize.bilinear(jnp.ones((4, 6, 2), float), (9, 3)).dtype == float


def test_a_factor_keeps_its_step_when_sizes_are_odd():
  x = jnp.arange(7.0)[None, :, None]
  ours = resize.bilinear_by_factor(jnp.tile(x, (2, 1, 1)), 0.5)
  np.testing.assert_allclose(ours[0, :, 0], [0.5, 2.5, 4.5])
  whole = resize.bilinear(jnp.tile(x, (2, 1, 1)), (1, 3))
  assert not np.allclose(ours, whole)


def test_integers_are_refused():
  with pytest.raises(TypeError, match='expected a float array, got uint8'):
    resize.bilinear(np.zeros((4, 4, 3), np.uint8), (2, 2))
  with pytest.raises(TypeError, match='expected a float array, got uint8'):
    resize.bicubic(np.zeros((4, 4, 3), np.uint8), (2, 2))


def test_nearest_picks_the_floor_index():
  label = np.arange(4 * 6).reshape(1, 4, 6)
  np.testing.assert_array_equal(
    resize.nearest(label, (2, 4)), label[:, [0, 2]][:, :, [0, 1, 3, 4]]
  )
  np.testing.assert_array_equal(
    resize.nearest(label, (8, 6)), np.repeat(label, 2, 1)
  )
  np.testing.assert_array_equal(resize.nearest(label, (4, 6)), label)
