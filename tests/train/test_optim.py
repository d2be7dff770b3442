"""Parameter patterns of optimisers: those of all configs, and wrong ones."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests import tiny
from uda_jax import configs
from uda_jax import models
from uda_jax import types
from uda_jax.configs.blocks import convnets
from uda_jax.train import optim
from uda_jax.train import patterns
from uda_jax.train import update_rules

PARAMS = {
  'encoder': {'bn1': {'scale': jnp.ones(2)}, 'conv1': {'kernel': jnp.ones(2)}},
  'head': {'kernel': jnp.ones(2)},
}


def _params(config):
  """Returns shapes of the parameters of a config's network, with few blocks."""
  config.model.weights = ''
  if 'encoder' in config.model:
    config.model.encoder = 'mit_b0'  # the same names in fewer blocks
  if 'detail_crop' in config.model:
    config.model.update(detail_crop=(32, 32), detail_stride=(16, 16))
  network = models.build(config, 5)
  return jax.eval_shape(
    lambda: network.init(jax.random.key(0), (64, 64))
  ).params


def test_the_patterns_of_all_configs_match():
  checked, params = set(), {}
  for name in configs.paths():
    config = configs.load(name)
    key = (config.model.name, config.optim.to_json())
    if key in checked:
      continue
    checked.add(key)
    model = config.model.to_json()
    if model not in params:
      params[model] = _params(config)
    patterns.check_matches(config.optim, params[model])
  assert len(checked) > 5


@pytest.mark.parametrize(
  ('changes', 'expected'),
  [
    (
      {'frozen': ('^encodr/',)},
      r"optim.frozen: .*'\^encodr/'.*did you mean encoder\?$",
    ),
    ({'frozen': ('/bn7/',)}, r'did you mean bn1\?$'),
    ({'frozen': ('xyz',)}, 'parameters are encoder/bn1/scale, encoder/conv1'),
    ({'frozen': ('(',)}, r"frozen: expected a regular expression, got '\('"),
    (
      {'groups': (('heed', 10.0, 1.0),)},
      r'groups: .*did you mean head\?$',
    ),
    ({'groups': (('head', 10.0),)}, r'rows \(pattern, rate factor, decay f'),
    ({'groups': ('head', 10.0, 1.0)}, r"groups: expected rows .* got 'head'"),
    (
      {'name': 'adam'},
      "optim.name: expected one of 'adamw', 'sgd', got 'adam'",
    ),
    ({'weight_decay_end': -0.5}, r'weight_decay_end: expected -1.0 .*-0.5'),
    (
      {'name': 'sgd'},
      "optim.name: 'sgd' needs the field config.optim.momentum",
    ),
  ],
)
def test_a_pattern_that_matches_nothing(changes, expected):
  config = tiny.adamw()
  config.update(changes)
  with pytest.raises(ValueError, match=expected) as error:
    optim.make(config, PARAMS)
  assert '\n' not in str(error.value)


def test_repeats_that_match_nothing():
  config = convnets.lse_sgd(repeats=(('^layer5/', 1), ('conv', 2)))
  config.update(groups=(), frozen=())
  with pytest.raises(ValueError, match=r"optim.repeats: .*'\^layer5/' matches"):
    optim.make(config, PARAMS)
  config.repeats = (('conv', 2),)
  optim.make(config, PARAMS)


def test_the_weight_decay_of_every_group_moves_to_the_end():
  """SoMA's numbers: 0.05 falls to 1e-5, and 0 rises to it."""
  config = tiny.adamw()
  config.update(
    weight_decay=0.05, weight_decay_end=1e-5, groups=(('/bn1/', 1.0, 0.0),)
  )
  rule = optim.make(config, PARAMS)
  zeros = jax.tree.map(jnp.zeros_like, PARAMS)
  step = jnp.zeros((), jnp.int32)
  for number, decayed in ((0, 0.05), (20_000, 0.025005), (40_000, 1e-5)):
    state = types.TrainState(
      step=step + number + 7,
      round=types.Round(step, step + 7, step + 40_000),
      **dict.fromkeys(
        ('student', 'teacher', 'opt_state', 'method_state', 'nonfinite', 'rng')
      ),
    )
    left = optim.decay_left(config, state)
    updates, _ = rule.update(
      zeros,
      rule.init(PARAMS),
      PARAMS,
      learning_rate=step + 0.1,
      decay_left=left,
    )
    others = 1e-5 * (1 - left)
    np.testing.assert_allclose(
      updates['head']['kernel'], -0.1 * decayed, rtol=1e-5
    )
    np.testing.assert_allclose(
      updates['encoder']['bn1']['scale'], -0.1 * others, rtol=1e-5
    )


def test_adam_is_that_of_optax():
  options = dict(b1=0.9, b2=0.999, eps=1e-8)
  ours, theirs = update_rules.adam(**options), optax.scale_by_adam(**options)
  state, expected = ours.init(PARAMS), theirs.init(PARAMS)
  for value in (0.5, -2.0, 1e-9):
    grads = jax.tree.map(lambda p, v=value: jnp.full_like(p, v), PARAMS)
    updates, state = ours.update(grads, state)
    wanted, expected = theirs.update(grads, expected)
    jax.tree.map(np.testing.assert_array_equal, updates, wanted)
    jax.tree.map(np.testing.assert_array_equal, state, expected)


def test_a_constant_weight_decay_takes_no_argument():
  config = tiny.adamw()
  assert optim.decay_left(config, None) is None
  config.weight_decay_end = -1.0
  assert optim.decay_left(config, None) is None
