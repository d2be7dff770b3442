"""VFM-UDA and VFM-UDA++ as their configs have them, on a small DINOv2."""

import pathlib

import jax
import numpy as np
import pytest

from tests import small_config
from tests import tiny
from uda_jax import configs
from uda_jax import models
from uda_jax import parallel
from uda_jax.augment import vfm_jitter
from uda_jax.models import dinov2
from uda_jax.models import encoder_decoder
from uda_jax.models import vit_adapter
from uda_jax.models import weights
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import state_dict
from uda_jax.train import setup
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib


@pytest.fixture(autouse=True)
def small(monkeypatch):
  """One head and four blocks; no jitter, which takes long to compile."""
  monkeypatch.setitem(dinov2.VARIANTS, 'dinov2_s', dinov2.Variant(64, 4))
  monkeypatch.setattr(
    vfm_jitter, 'augment', lambda key, pixels, strength: pixels
  )


def _config(folder, name):
  """The config's run on rendered scenes of 32 x 64, one group, two steps."""
  config = configs.load(f'gta5_to_cityscapes/{name}')
  data = small_config.get_config().data
  for field in ('resize', 'scale_range', 'pad', 'flip', 'margins'):
    data[field] = config.data[field]
  data.cache_dir = str(folder / 'data')
  data.rare_class.update(temperature=0.05, min_pixels=8, min_crop_ratio=0.5)
  config.data = data
  config.update(steps=2, devices=1)
  config.batch.groups = 1
  config.schedule.warmup_steps = 0
  config.method.threshold = 0.1
  config.model.weights = _file(folder)
  return config


def _file(folder):
  """A file of DINOv2 with noise, which needs no compilation."""
  config = configs.load('gta5_to_cityscapes/vfm_uda_small')
  config.model.weights = ''
  network = models.build(config, 2)
  shapes = jax.eval_shape(lambda: network.init(jax.random.key(7), (32, 64)))
  random = np.random.default_rng(0)
  noise = jax.tree.map(lambda x: random.normal(0, 0.05, x.shape), shapes)
  path = folder / 'dinov2.safetensors'
  tensors = {n: x.astype(np.float32) for n, x in _encoder(noise).items()}
  safetensors.write(path, tensors)
  return str(path)


def _train(config, folder):
  """Returns the run, its first state, the last one, and the last metrics."""
  run, student = setup.build(config, folder / 'run')
  batches = [
    parallel.to_global(batch, run.mesh) for batch in setup.batches(run, 0)
  ]
  first = state_lib.start(run, student, batches[0])
  start = jax.device_get(first.student.params)
  state = tiny.place(first, run.mesh)
  train_step = step_lib.make_train_step(run.recipe, run.mesh, 1)
  for batch in batches:
    state, metrics = train_step(state, batch, run.frozen)
    assert all(np.isfinite(x) for x in metrics.values()), metrics
    assert not metrics['skipped']
  return run, start, jax.device_get(state), metrics


def _moved(before, after, name):
  """Whether all arrays of a part of the encoder have changed."""
  pairs = zip(
    *(jax.tree.leaves(tree['backbone'][name]) for tree in (before, after))
  )
  return all((a != b).any() for a, b in pairs)


def test_vfm_uda_trains_the_token_of_hidden_patches(tmp_path):
  config = _config(tmp_path, 'vfm_uda_small')
  _, start, state, metrics = _train(config, tmp_path)
  for name in ('source', 'mixed', 'masked'):
    assert metrics[f'loss/{name}'] > 0
  file = safetensors.read(pathlib.Path(config.model.weights))
  np.testing.assert_array_equal(
    start['backbone']['mask_token'], file['mask_token']
  )
  params = state.student.params
  for name in ('mask_token', 'cls_token', 'patch_embed'):
    assert _moved(start, params, name)
    # After the second step the average is two thirds of the way behind.
    assert not np.array_equal(
      jax.tree.leaves(params['backbone'][name])[0],
      jax.tree.leaves(state.teacher.params['backbone'][name])[0],
    )


def _encoder(variables):
  """Tensors of the encoder, by the names of a file of its own."""
  return {
    name.removeprefix('backbone.'): x
    for name, x in state_dict.export(variables).items()
    if name.startswith('backbone.')
  }


def test_the_adapter_starts_at_random_unless_the_file_has_it(tmp_path):
  config = _config(tmp_path, 'vfm_uda_pp_small').model
  dinov2_alone = safetensors.read(pathlib.Path(config.weights))
  assert {'mask_token', 'norm.weight'} <= dinov2_alone.keys()
  network = encoder_decoder.build(_without_files(config), 11)
  shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), (32, 64)))
  start = jax.tree.map(lambda x: np.full(x.shape, 7, x.dtype), shapes)
  loaded = _encoder(weights.load(encoder_decoder.importer(config), start))
  for name, x in loaded.items():
    own = name.split('.')[0] in vit_adapter.OWN
    np.testing.assert_array_equal(x, 7 if own else dinov2_alone[name])
  assert {n.split('.')[0] for n in loaded} > vit_adapter.OWN
  whole = tmp_path / 'whole.safetensors'
  safetensors.write(whole, {n: x + 1 for n, x in loaded.items()})
  config.weights = str(whole)
  again = _encoder(weights.load(encoder_decoder.importer(config), start))
  for name, x in again.items():
    np.testing.assert_array_equal(x, loaded[name] + 1)


def _without_files(config):
  """A copy of `config.model` that reads no file."""
  config = config.copy_and_resolve_references()
  config.weights = config.reference.weights = ''
  return config
