"""The losses of two scales: analytic values, crops, nothing to learn from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import labels
from uda_jax.losses import hrda
from uda_jax.losses import segmentation

RANDOM = np.random.default_rng(0)
FUSED, CONTEXT = (RANDOM.normal(size=(2, n, n, 3)) for n in (6, 3))
DETAIL = RANDOM.normal(size=(2, 2, 4, 3))
LABEL = RANDOM.integers(0, 3, (2, 12, 12)).astype(np.int32)
LABEL[0, 4:7] = labels.IGNORE_LABEL
WEIGHT = RANDOM.uniform(size=LABEL.shape)
BOXES = np.array([[4, 8, 2, 10], [8, 12, 0, 8]])


def _terms(label=LABEL, box=BOXES, detail=DETAIL, weight=None, **options):
  run = jax.jit(
    lambda *arrays: hrda.two_scale_cross_entropy(
      *arrays[:-1], weight=arrays[-1], **options
    )
  )
  return run(FUSED, detail, CONTEXT, label, box, weight)


def test_each_scale_meets_its_part_of_the_label():
  terms = _terms(detail_weight=0.1, context_weight=0.2, weight=WEIGHT)
  for name, weight in dict(fused=0.7, context=0.2, detail=0.1).items():
    np.testing.assert_allclose(terms[name][1], weight, rtol=1e-6)
  cut = lambda x: np.stack(
    [x[i, y1:y2, x1:x2] for i, (y1, y2, x1, x2) in enumerate(BOXES)]
  )
  for name, logits, label, weight in (
    ('fused', FUSED, LABEL, WEIGHT),
    ('context', CONTEXT, LABEL, WEIGHT),
    ('detail', DETAIL, cut(LABEL), cut(WEIGHT)),
  ):
    np.testing.assert_allclose(
      terms[name][0],
      segmentation.resized_cross_entropy(
        jnp.asarray(logits), label, weight=weight
      ),
      rtol=1e-6,
    )


def test_terms_that_are_off_are_not_computed():
  assert set(_terms(detail_weight=0.1)) == {'fused', 'detail'}
  assert set(_terms(detail_weight=0.0)) == {'fused'}


def test_without_a_box_the_detail_covers_the_image():
  terms = _terms(box=None, detail=FUSED, detail_weight=0.5)
  assert terms['detail'][0] == terms['fused'][0]


def test_nothing_to_learn_from_gives_zero_and_no_gradient():
  ignored = np.full_like(LABEL, labels.IGNORE_LABEL)

  def total(detail):
    terms = _terms(ignored, detail=detail, detail_weight=0.1)
    return sum(value * weight for value, weight in terms.values())

  value, gradient = jax.jit(jax.value_and_grad(total))(jnp.asarray(DETAIL))
  assert value == 0 and not np.asarray(gradient).any()


def test_a_label_that_is_no_multiple_is_refused():
  # Its stride would be 1, and the crop half of what the box says.
  with pytest.raises(ValueError, match=r'label: expected a multiple .*11, 11'):
    _terms(label=LABEL[:, :11, :11], detail_weight=0.1)
