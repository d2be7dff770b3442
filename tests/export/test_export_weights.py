"""A run's network, written for other tools and read back."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests import small_config
from uda_jax import models
from uda_jax.export import weights_file
from uda_jax.models import weights
from uda_jax.models.weights import metadata
from uda_jax.runs import checkpoint
from uda_jax.runs import provenance

NAMES = ('road', 'sky', 'car')


@pytest.fixture
def run(tmp_path):
  """The directory of a run, as training leaves it, and its best network."""
  config = small_config.get_config()
  variables = models.build(config, len(NAMES)).init(jax.random.key(1), (32, 48))
  workdir = tmp_path / 'run'
  provenance.run_manifest(
    workdir,
    config,
    {
      'classes': {'names': NAMES, 'palette': ((0, 0, 0),) * 3},
      'weights': {'declared': {'trained_on': 'ImageNet-1k'}},
    },
  )
  with checkpoint.Checkpoints(workdir, every_steps=1) as saved:
    saved.save_best(1, variables, {'value': 0.5})
  return workdir, config, variables


def _command(*args):
  return subprocess.run(
    [sys.executable, '-m', 'uda_jax.export.weights', *map(str, args)],
    text=True,
    capture_output=True,
    check=False,
  )


def test_exported_network_comes_back_bit_equal(run, tmp_path):
  workdir, config, variables = run
  out = tmp_path / 'best.safetensors'
  done = _command(f'--workdir={workdir}', '--network=best', f'--out={out}')
  assert done.returncode == 0, done.stderr
  count = len(jax.tree.leaves(variables))
  assert done.stdout == (
    f'wrote {count} tensors to {out} and best.safetensors.json\n'
  )
  config.model.weights = str(out)
  loaded = models.build(config, len(NAMES)).init(jax.random.key(2), (32, 48))
  jax.tree.map(np.testing.assert_array_equal, loaded, variables)
  told = json.loads((tmp_path / 'best.safetensors.json').read_text())
  assert told['network'] == 'best' and told['step'] == 1
  assert told['sha256'] == metadata.sha256(out)
  assert told['preprocessing'] == 'IMAGENET'
  assert told['saw_target_labels'] is False
  assert told['classes'] == list(NAMES)
  assert told['trained_on'].startswith('ImageNet-1k; ')
  assert f'{config.data.target.name} without' in told['trained_on']
  assert weights.read(out).keys() == models.export(config, variables).keys()


def test_an_oracle_saw_target_labels():
  config = small_config.get_config()
  config.data.source = config.data.target.copy_and_resolve_references()
  told = weights_file.declaration(config, 'student', '', {})
  assert told['saw_target_labels'] is True
  # So has a run that started from one.
  told = weights_file.declaration(
    small_config.get_config(), 'student', '', {'saw_target_labels': True}
  )
  assert told['saw_target_labels'] is True


def test_what_is_no_run_is_told_in_one_line(tmp_path):
  done = _command(f'--workdir={tmp_path}', f'--out={tmp_path}/a.safetensors')
  assert done.returncode == 1 and done.stderr.count('\n') == 1
  assert done.stderr.startswith(f'error: {tmp_path}: expected the directory')
