"""ClassMix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import labels
from uda_jax.augment import classmix

IGNORE = labels.IGNORE_LABEL
KEYS = jax.random.split(jax.random.key(0), 200)


def _draw(label, keys=KEYS, **options):
  options = dict(num_classes=6) | options
  return np.asarray(
    jax.jit(
      jax.vmap(
        lambda key: classmix.draw_classes(key, jnp.asarray(label), **options)
      )
    )(keys)
  )


# Image 0 holds classes 0, 2, 5; image 1 holds 1, 2 and ignored pixels.
LABEL = np.array([[[0, 2], [5, 5]], [[1, 2], [IGNORE, 1]]], np.int32)


@pytest.mark.parametrize(
  ('options', 'present', 'counts'),
  [
    (dict(choose_from='batch'), [[0, 1, 2, 5, 6]] * 2, [3, 3]),
    (
      dict(choose_from='batch', include_ignore=False),
      [[0, 1, 2, 5]] * 2,
      [2, 2],
    ),
    (dict(choose_from='image'), [[0, 2, 5], [1, 2, 6]], [2, 2]),
    (
      dict(choose_from='image', include_ignore=False),
      [[0, 2, 5], [1, 2]],
      [2, 1],
    ),
  ],
)
def test_half_of_the_present_classes_uniformly(options, present, counts):
  chosen = _draw(LABEL, **options)
  assert chosen.shape == (200, 2, 7) and chosen.dtype == bool
  for image, (classes, count) in enumerate(zip(present, counts)):
    np.testing.assert_array_equal(chosen[:, image].sum(-1), count)
    frequency = chosen[:, image].mean(0)
    np.testing.assert_allclose(
      frequency[classes], count / len(classes), atol=0.15
    )
    assert frequency.sum() == pytest.approx(count)


def test_images_draw_separately_and_keys_reproduce():
  chosen = _draw(LABEL)
  assert (chosen[:, 0] != chosen[:, 1]).any(-1).mean() > 0.5
  np.testing.assert_array_equal(chosen, _draw(LABEL))


def test_one_class_is_chosen_and_nothing_from_nothing():
  one = _draw(np.full((1, 2, 2), 3, np.int32), KEYS[:4])
  np.testing.assert_array_equal(one, np.tile(np.arange(7) == 3, (4, 1, 1)))
  ignored = np.full((1, 2, 2), IGNORE, np.int32)
  assert _draw(ignored, KEYS[:4])[..., -1].all()
  assert not _draw(ignored, KEYS[:4], include_ignore=False).any()


def test_mask_and_mixture():
  chosen = np.zeros((2, 7), bool)
  chosen[0, [2, 3]] = True
  chosen[1, 6] = True
  mask = classmix.class_mask(LABEL, chosen)
  np.testing.assert_array_equal(
    mask, [[[False, True], [False, False]], [[False, False], [True, False]]]
  )
  image = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
  mixed = classmix.mix(mask, image, image + 100)
  assert mixed.dtype == np.uint8
  np.testing.assert_array_equal(
    mixed, np.where(np.asarray(mask)[..., None], image, image + 100)
  )
  np.testing.assert_array_equal(
    classmix.mix(mask, LABEL, LABEL + 1), np.where(mask, LABEL, LABEL + 1)
  )


def test_an_unknown_option_is_named():
  with pytest.raises(ValueError, match="choose_from.*'group'"):
    classmix.draw_classes(KEYS[0], LABEL, num_classes=6, choose_from='group')
