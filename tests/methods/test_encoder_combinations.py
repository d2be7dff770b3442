"""PiPa, CLUDA and MIC at once on small encoders, as their configs have them."""

import dataclasses

import jax
import numpy as np
import pytest

from tests import tiny_hrda
from uda_jax import configs
from uda_jax import methods
from uda_jax import models
from uda_jax.augment import dacs_jitter
from uda_jax.augment import pipa_jitter
from uda_jax.methods import mic
from uda_jax.models import convnext
from uda_jax.models import dinov2
from uda_jax.models import eva02

NUM_CLASSES = tiny_hrda.NUM_CLASSES
PARTS = ('pixel', 'patch', 'contrast', 'masked')
# Config -> which of these terms it has.
LEAVES = {
  'dinov2_self_training': (),
  'dinov2_pipa': ('pixel', 'patch'),
  'dinov2_cluda': ('contrast',),
  'dinov2_mic': ('masked',),
  'dinov2_pipa_cluda_mic': PARTS,
  'dinov3_convnext_self_training': (),
  'dinov3_convnext_pipa_cluda_mic': PARTS,
  'eva02_self_training': (),
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
  """Few channels and blocks; no jitter, which takes long to compile."""
  monkeypatch.setitem(dinov2.VARIANTS, 'dinov2_b', dinov2.Variant(64, 4))
  monkeypatch.setitem(
    convnext.VARIANTS,
    'dinov3_convnext_base',
    convnext.Variant((8, 8, 8, 8), (1, 1, 1, 1)),
  )
  monkeypatch.setitem(
    eva02.VARIANTS, 'eva02_base', eva02.Variant(64, 4, 16, True)
  )
  same = lambda key, pixels: pixels
  monkeypatch.setattr(dacs_jitter, 'strong_augment', same)
  monkeypatch.setattr(pipa_jitter, 'jitter_views', same)
  monkeypatch.setattr(mic, 'augment_together', same)


def _config(name):
  config = configs.load(f'gta5_to_cityscapes/{name}')
  config.model.update(weights='', head_width=8, fusion='conv1')
  config.model.heads = tuple((*row[:2], 4) for row in config.model.heads)
  method = config.method
  method.threshold = 0.2
  method.masking.block_size = 4
  method.cluda_contrast.grid = (5, 5)
  method.pixel_contrast.update(max_views=2, max_samples=24)
  method.patch_contrast.update(start=0, channels=4, samples=8, threshold=0.0)
  return config


def _losses(name):
  """The function params -> Losses of the last phase, and `params`."""
  config = _config(name)
  method = methods.make(config.method, NUM_CLASSES)
  network = models.build(config, NUM_CLASSES)
  state = tiny_hrda.state(network)
  random = np.random.default_rng(1)
  views = {
    'image': random.integers(0, 256, (2, 2, 56, 56, 3), np.uint8),
    'box': np.tile(np.int32([[0, 28, 28, 56], [28, 56, 0, 28]]), (2, 1, 1)),
    'flipped': np.array([[True, False], [False, False]]),
  }
  batch = tiny_hrda.batch()._replace(views=views if 'pipa' in name else None)
  state = dataclasses.replace(
    state, method_state=method.init(jax.random.key(0), network, batch)
  )
  losses = lambda params: method.loss(
    params,
    state,
    batch,
    jax.random.key(3),
    network,
    None,
    phase=len(method.starts),
  )
  return losses, state.student.params


@pytest.mark.parametrize('name', LEAVES)
def test_the_terms_of_a_config(name):
  losses, params = _losses(name)
  terms = set(jax.eval_shape(losses, params).terms)
  assert {'source', 'mixed'} <= terms
  for part in PARTS:
    assert any(part in term for term in terms) == (part in LEAVES[name]), part


def test_a_step_of_all_at_once_trains_every_part():
  losses, params = _losses('dinov2_pipa_cluda_mic')

  def total(params):
    found = losses(params)
    values = {name: t.value for name, t in found.terms.items()}
    return sum(t.weight * t.value for t in found.terms.values()), values

  gradient, values = jax.jit(jax.grad(total, has_aux=True))(params)
  assert all(np.isfinite(x) for x in values.values()), values
  for name in ('source', 'mixed', 'pixel', 'patch', 'masked'):
    assert values[name] > 0, values
  for part in ('backbone', 'decode_head', 'proj_head', 'project'):
    leaves = jax.tree.leaves(gradient[part])
    assert all(np.isfinite(x).all() for x in leaves)
    assert any(np.any(x) for x in leaves), part
