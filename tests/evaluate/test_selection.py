"""Criteria for the best checkpoint, with and without labels."""

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from uda_jax.evaluate import selection


def test_statistics_by_hand():
  # One image of two pixels: certain of class 1, and no idea.
  logits = jnp.array([[[[0.0, 40.0], [0.0, 0.0]]]])
  other = jnp.array([[[[0.0, 1.0], [0.0, 1.0]]]])
  found = selection.statistics(logits, other, threshold=0.9)
  np.testing.assert_allclose(found['entropy'], [np.log(2) / 2], rtol=1e-6)
  np.testing.assert_array_equal(found['confident'], [0.5])
  np.testing.assert_array_equal(found['agreement'], [0.5])
  assert 'agreement' not in selection.statistics(logits, threshold=0.9)
  np.testing.assert_allclose(found['probability'], [[0.25, 0.75]], rtol=1e-6)


def test_prior_by_hand():
  def prior(mean, entropy, pixels):
    means = {'probability': np.array(mean), 'entropy': np.float64(entropy)}
    found = selection.summarize(means, np.array(pixels))
    assert set(found) == {'entropy', 'shift', 'prior'}
    assert found['entropy'] == entropy
    assert found['shift'] == pytest.approx(found['prior'] - entropy)
    return found['prior']

  # Certain, and as often as in the source.
  assert prior([0.5, 0.5], 0.0, [7, 7]) == pytest.approx(0)
  assert prior([0.9, 0.1], 0.0, [9, 1]) < 1e-3
  # No idea: the entropy alone.
  assert prior([0.5, 0.5], np.log(2), [7, 7]) == pytest.approx(np.log(2))
  # A rare class that is predicted too often, and one class alone.
  often, collapsed = prior([0.5, 0.5], 0.0, [9, 1]), prior([0, 1.0], 0, [9, 1])
  expected = 0.5 * np.log(0.5 / 0.896) + 0.5 * np.log(0.5 / 0.104)
  assert often == pytest.approx(expected)
  assert collapsed == pytest.approx(-np.log(0.104))
  # A class that the source lacks.
  assert prior([0.5, 0.5], 0.0, [1, 0]) == pytest.approx(
    0.5 * np.log(0.5 / 0.995) + 0.5 * np.log(0.5 / 0.005)
  )


@pytest.mark.parametrize(
  'step, best, stops',
  [(10, 10, False), (25, 10, False), (30, 10, True), (35, 10, True)]
  + [(5, 30, False), (25, 15, False), (30, 15, True)],
)
def test_patience(step, best, stops):
  config = _config(**{'eval.every': 10, 'eval.patience': 2})
  assert selection.out_of_patience(config, step, {'step': best}) == stops
  config.eval.patience = 0
  assert not selection.out_of_patience(config, step, {'step': best})


def test_statistics_of_half_precision_are_those_of_its_values():
  logits = jnp.linspace(-3, 3, 60).reshape(1, 4, 5, 3).astype(jnp.bfloat16)
  half, full = (
    selection.statistics(x, threshold=0.5)
    for x in (logits, logits.astype(jnp.float32))
  )
  assert half['entropy'].dtype == jnp.float32
  np.testing.assert_array_equal(half['entropy'], full['entropy'])


def _config(**changes):
  config = ml_collections.ConfigDict(
    dict(
      checkpoint=dict(best='miou', best_subset='all classes'),
      teacher=dict(use=False),
      eval=dict(
        every=0,
        patience=0,
        subsets={'13 classes': (0,)},
        label_free=dict(num_images=2),
      ),
      data=dict(
        source=dict(kind='folder', name='A'),
        target=dict(kind='folder', name='B'),
        evaluation=dict(kind='folder', name='B'),
      ),
    )
  )
  config.update_from_flattened_dict(changes)
  return config


def test_larger_is_better_and_labels_are_told():
  report = {
    'miou': {'all classes': 0.3, '13 classes': 0.4},
    'label_free': {'entropy': 0.2, 'confident': 0.9, 'prior': 1.4},
  }
  value = lambda **changes: selection.score(_config(**changes), report)['value']
  assert value() == 0.3
  assert value(**{'checkpoint.best_subset': '13 classes'}) == 0.4
  assert value(**{'checkpoint.best': 'entropy'}) == -0.2
  assert value(**{'checkpoint.best': 'confident'}) == 0.9
  assert value(**{'checkpoint.best': 'prior'}) == -1.4
  assert selection.describe(_config()) == 'selected on target labels'
  on_source = {'data.evaluation.name': 'A'}
  assert selection.describe(_config(**on_source)) == 'selected on source labels'
  oracle = on_source | {'data.target.name': 'A'}
  assert selection.describe(_config(**oracle)) == 'selected on target labels'
  assert 'without target labels' in selection.describe(
    _config(**{'checkpoint.best': 'entropy'})
  )


@pytest.mark.parametrize(
  'changes, message',
  [
    ({'checkpoint.best': 'nope'}, r'checkpoint\.best: expected one of'),
    ({'checkpoint.best_subset': '16 classes'}, r'best_subset.*13 classes'),
    (
      {'checkpoint.best': 'entropy', 'eval.label_free.num_images': 0},
      r'label_free\.num_images',
    ),
    ({'checkpoint.best': 'agreement'}, r'config\.teacher\.use is off'),
  ],
)
def test_a_criterion_that_cannot_be_computed(changes, message):
  with pytest.raises(ValueError, match=message):
    selection.check(_config(**changes))
  selection.check(_config())
