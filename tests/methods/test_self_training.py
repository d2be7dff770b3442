"""Self-training as DAFormer runs it: the frozen network, detail requests."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from uda_jax.methods import self_training

NUM_CLASSES = 4


def _network(requests):
  """The tiny network with features, which notes what is asked of it."""
  plain = tiny.network(NUM_CLASSES)

  def forward(params, batch_stats, image, *, detail=None, **options):
    requests.append(detail)
    outputs, stats = plain.forward(params, batch_stats, image, **options)
    features = outputs.logits[:, 1::2, 1::2]
    return outputs._replace(features=(features,)), stats

  return plain._replace(forward=forward)


def _losses(frozen_key, *, weight=0.5, detail=lambda *asked: None):
  """The losses of one group, and what each pass asked for."""
  requests = []
  network = _network(requests)
  config = tiny.self_training_config()
  config.weight_distance = weight
  batch = tiny.group(NUM_CLASSES)
  variables = network.init(jax.random.key(0), (8, 8))
  frozen = (
    None
    if frozen_key is None
    else network.init(jax.random.key(frozen_key), (8, 8))
  )
  operators = self_training.Operators(
    choose_classes=lambda key, label: label == 0,
    augment=lambda key, pixels: pixels,
    detail=detail,
  )
  losses = self_training.make(config, operators).loss(
    variables.params,
    tiny.state(variables),
    batch,
    jax.random.key(3),
    network,
    frozen,
  )
  return losses, requests


def test_the_distance_is_to_the_frozen_network_with_running_statistics():
  losses, _ = _losses(frozen_key=1)
  term = losses.terms['distance']
  assert term.weight == 0.5
  network = _network([])
  student, frozen = (network.init(jax.random.key(i), (8, 8)) for i in (0, 1))
  image = network.normalize(
    jnp.asarray(tiny.batch(0, 1, NUM_CLASSES).source.image[0])
  )
  ours = network.forward(*student, image)[0].features[-1]
  other = network.forward(*frozen, image, use_running_average=True)[0]
  expected = np.linalg.norm(ours - other.features[-1], axis=-1).mean()
  np.testing.assert_allclose(term.value, expected, rtol=1e-5)


def test_without_a_weight_there_is_no_distance():
  losses, requests = _losses(frozen_key=None, weight=0.0)
  assert list(losses.terms) == ['source', 'mixed']
  assert len(requests) == 3


def test_a_missing_frozen_network_is_named():
  with pytest.raises(ValueError, match='config.method.weight_distance'):
    _losses(frozen_key=None)


def test_only_the_student_is_asked_for_detail_anew_in_each_pass():
  draw = lambda key, image_size, name, phase: (
    jax.random.uniform(key),
    image_size,
    name,
    phase,
  )
  _, requests = _losses(frozen_key=1, detail=draw)
  asked = [request for request in requests if request is not None]
  assert len(requests) == 4 and len(asked) == 2
  assert asked[0][1:] == ((8, 8), 'source', 0)
  assert asked[1][1:] == ((8, 8), 'mixed', 0) and asked[0][0] != asked[1][0]
