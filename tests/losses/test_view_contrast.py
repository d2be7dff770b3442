"""Contrast of two views: the dense form, degenerate input, first image only."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import labels
from uda_jax.losses import view_contrast

IGNORE = labels.IGNORE_LABEL


def _dense(first, second, *, temperature, valid=None):
  """The definition, with the whole matrix of similarities."""
  if valid is not None:
    first, second = first[valid], second[valid]
  rows = jnp.concatenate([first, second])
  n = len(first)
  similarity = jnp.where(jnp.eye(2 * n, dtype=bool), -1e5, rows @ rows.T)
  log_prob = jax.nn.log_softmax(similarity / temperature, -1)
  partner = (np.arange(2 * n) + n) % (2 * n)
  return -log_prob[np.arange(2 * n), partner].mean()


def _rows(n=23, d=5):
  random = np.random.default_rng(0)
  return [
    jax.nn.softmax(jnp.asarray(random.normal(size=(n, d)), jnp.float32))
    for _ in '12'
  ]


@pytest.mark.parametrize('block_size', [7, 16, 64])
def test_blocks_change_neither_value_nor_gradient(block_size):
  first, second = _rows()
  expected, gradient = jax.jit(jax.value_and_grad(_dense, (0, 1)))(
    first, second, temperature=0.05
  )
  ours, own = jax.jit(
    jax.value_and_grad(
      lambda a, b: view_contrast.nt_xent(
        a, b, temperature=0.05, block_size=block_size
      ),
      (0, 1),
    )
  )(first, second)
  np.testing.assert_allclose(ours, expected, rtol=1e-5)
  for a, b in zip(own, gradient):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_invalid_rows_are_as_if_absent():
  first, second = _rows()
  valid = np.arange(len(first)) % 3 > 0
  ours = view_contrast.nt_xent(
    first,
    second,
    temperature=1 / 7,
    block_size=16,
    valid_mask=jnp.asarray(valid),
  )
  np.testing.assert_allclose(
    ours, _dense(first, second, temperature=1 / 7, valid=valid), rtol=1e-5
  )


def test_equal_rows_cannot_be_told_apart():
  rows = jnp.full((6, 4), 0.25)
  np.testing.assert_allclose(
    view_contrast.nt_xent(rows, rows, temperature=0.05), np.log(11), rtol=1e-6
  )


@pytest.mark.parametrize('classes', [(), (2,)])
def test_no_class_or_one_gives_nothing(classes):
  random = np.random.default_rng(1)
  logits = jnp.asarray(random.normal(size=(2, 2, 4, 4, 3)), jnp.float32)
  label = np.full((2, 8, 8), IGNORE)
  for c in classes:
    label[:, :4] = c
  value, gradient = jax.jit(
    jax.value_and_grad(
      lambda x: view_contrast.view_class_contrast(
        x[0], x[1], jnp.asarray(label), temperature=1 / 7
      )
    )
  )(logits)
  np.testing.assert_allclose(value, 0, atol=1e-6)
  assert np.all(np.isfinite(gradient))


def test_only_the_first_image_as_released():
  random = np.random.default_rng(2)
  weak, strong = jnp.asarray(random.normal(size=(2, 3, 4, 4, 5)), jnp.float32)
  label = jnp.asarray(random.integers(0, 5, (3, 8, 8)))
  contrast_of = jax.jit(
    functools.partial(view_contrast.view_class_contrast, temperature=1 / 7),
    static_argnames='all_images',
  )
  values = [
    float(contrast_of(strong[i : i + 1], weak[i : i + 1], label[i : i + 1]))
    for i in range(3)
  ]
  contrast = lambda all_images: contrast_of(
    strong, weak, label, all_images=all_images
  )
  np.testing.assert_allclose(contrast(True), np.mean(values), rtol=1e-5)
  np.testing.assert_allclose(contrast(False), values[0] / 3, rtol=1e-5)


def test_class_means_follow_the_shrunk_label():
  # Each class's logits are one vector, in both views: means are that vector.
  label = np.repeat(np.repeat([[0, 1], [2, IGNORE]], 4, 0), 4, 1)[None]
  table = jnp.asarray(np.random.default_rng(3).normal(size=(3, 3)), jnp.float32)
  logits = table[np.array([[0, 1], [2, 0]])][None].repeat(2, 1).repeat(2, 2)
  logits = logits.at[:, 2:, 2:].set(100.0)  # ignored
  prob = jax.nn.softmax(table)
  np.testing.assert_allclose(
    view_contrast.view_class_contrast(
      logits, logits, jnp.asarray(label), temperature=1 / 7
    ),
    _dense(prob, prob, temperature=1 / 7),
    rtol=1e-5,
  )


def test_pixels_of_one_image_do_not_meet_those_of_another():
  random = np.random.default_rng(4)
  weak, strong = jnp.asarray(random.normal(size=(2, 2, 3, 4, 5)), jnp.float32)
  flat = lambda x: jax.nn.softmax(x.reshape(12, 5))
  expected = np.mean(
    [_dense(flat(s), flat(w), temperature=0.05) for s, w in zip(strong, weak)]
  )
  np.testing.assert_allclose(
    view_contrast.view_pixel_contrast(
      strong, weak, temperature=0.05, block_size=8
    ),
    expected,
    rtol=1e-5,
  )


def test_sums_of_many_pixels_fit_into_no_float16():
  random = np.random.default_rng(5)
  logits = jnp.asarray(60 + random.normal(size=(1, 40, 40, 3)), jnp.float16)
  label = jnp.asarray(random.integers(0, 2, (1, 40, 40)))
  args = logits, logits[:, ::-1]
  for loss in (
    lambda *args: view_contrast.view_class_contrast(*args, label),
    view_contrast.view_pixel_contrast,
  ):
    wide = loss(*(x.astype(jnp.float32) for x in args))
    np.testing.assert_array_equal(loss(*args), wide)


def test_an_image_without_a_batch_axis_is_refused():
  logits = jnp.zeros((3, 4, 5))
  with pytest.raises(ValueError, match=r'expected \[B, h, w, C\], got \(3, 4'):
    view_contrast.view_pixel_contrast(logits, logits)
