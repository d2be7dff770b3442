"""DAFormer from a weight file: near its features, rare classes first."""

import jax
import numpy as np

from tests import small_config
from tests import tiny
from uda_jax import models
from uda_jax import parallel
from uda_jax.augment import dacs_jitter
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import networks
from uda_jax.models import mix_transformer
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import state_dict
from uda_jax.train import setup
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib


def _config(folder):
  config = small_config.get_config()
  config.update(steps=2, devices=1)
  config.data.cache_dir = str(folder / 'data')
  config.data.rare_class.update(
    temperature=0.01, min_pixels=8, min_crop_ratio=0.5
  )
  config.model = networks.daformer_network(encoder='mit_b0')
  config.model.update(head_width=8, fusion='conv1')
  # No gradient, and less to compile, below the encoder's last stage.
  config.optim.frozen = ('backbone/(patch_embed|block|norm)[123]',)
  config.method = common.daformer()
  config.method.update(threshold=0.2, distance_classes=())
  return config


def _encoder(config):
  """Another seed's encoder, as a pre-training file has it."""
  variables = models.build(config, 11).init(jax.random.key(7), (32, 64))
  return {
    name.removeprefix('backbone.'): x
    for name, x in state_dict.export(variables).items()
    if name.startswith('backbone.')
  }


def test_two_steps_near_an_encoder_from_a_file(tmp_path, monkeypatch):
  monkeypatch.setitem(
    mix_transformer.VARIANTS,
    'mit_b0',
    mix_transformer.Variant((4, 8, 20, 32), (1, 1, 1, 1)),
  )
  # Colour jitter takes long to compile.
  monkeypatch.setattr(dacs_jitter, 'strong_augment', lambda key, pixels: pixels)
  config = _config(tmp_path)
  encoder = _encoder(config)
  config.model.weights = str(tmp_path / 'encoder.safetensors')
  safetensors.write(tmp_path / 'encoder.safetensors', encoder)
  run, student = setup.build(config, tmp_path / 'run')
  batches = [
    parallel.to_global(batch, run.mesh) for batch in setup.batches(run, 0)
  ]
  assert len(batches) == 2
  state = tiny.place(state_lib.start(run, student, batches[0]), run.mesh)
  train_step = step_lib.make_train_step(run.recipe, run.mesh, 1)
  for batch in batches:
    state, metrics = train_step(state, batch, run.frozen)
    assert all(np.isfinite(x) for x in metrics.values())
    assert not metrics['skipped']
  assert metrics['loss/distance'] > 0
  frozen = state_dict.export(run.frozen)
  moved = state_dict.export(state.student)
  for name, value in encoder.items():
    np.testing.assert_array_equal(frozen[f'backbone.{name}'], value)
    if name.endswith('proj.weight'):
      assert (moved[f'backbone.{name}'] != value).any() == ('4' in name)
