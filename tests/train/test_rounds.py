"""Rounds: bit-equal after a kill at any point; processes together equal one."""

import json
import types

import jax
import ml_collections
import numpy as np
import pytest

from benchmarks import round_labels
from tests import lse_config
from uda_jax import parallel
from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common
from uda_jax.data import datasets
from uda_jax.data import label_files
from uda_jax.data import splits
from uda_jax.runs import writers
from uda_jax.train import checks
from uda_jax.train import loop
from uda_jax.train import round_mining
from uda_jax.train import setup


class Killed(BaseException):
  """Stands for a signal."""


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
  """Rendered scenes, shared by the runs."""
  return tmp_path_factory.mktemp('cache')


def _config(cache):
  config = lse_config.get_config()
  config.devices = 1
  config.data.cache_dir = str(cache / 'data')
  # The shares of two processes differ in size.
  config.data.target.num_images = 7
  config.log.panels_every = 0
  return config


@pytest.fixture(scope='module')
def uninterrupted(cache):
  """A run from start to end."""
  workdir = cache / 'uninterrupted'
  return workdir, loop.run(_config(cache), str(workdir))


def _plans(workdir):
  return [
    json.loads(path.read_text())
    for path in sorted((workdir / 'rounds').glob('*.json'))
  ]


def _patches(workdir):
  return {
    path.relative_to(workdir): path.read_bytes()
    for path in (workdir / 'rounds').rglob('*.png')
    if 'incomplete' not in str(path)
  }


def test_every_round_has_its_plan_and_patches(uninterrupted):
  workdir, result = uninterrupted
  plans = _plans(workdir)
  assert [plan['portion'] for plan in plans] == [0.3, 0.4]
  assert [plan['steps'] for plan in plans] == [4, 4]
  assert plans[0]['network'] != plans[1]['network']
  for plan in plans:
    assert 0 < len(plan['images']) <= 7
  count = sum(len(plan['images']) for plan in plans)
  # An image and a label for each of four windows.
  assert len(_patches(workdir)) == 8 * count
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(result.variables))
  # The lines on them count from 1, as those on the rounds; files count from 0.
  for folder, numbers in (('prepared', '12'), ('files', '01')):
    names = {path.name for path in (workdir / 'rounds' / folder).iterdir()}
    assert {name.split('-')[0] for name in names} == {
      f'patches_of_round_{number}' for number in numbers
    }


def _kill_at(monkeypatch, place, attribute, call):
  """Raises when something is called for the `call`-th time from now on."""
  function, calls = getattr(place, attribute), []

  def wrapped(*args, **kwargs):
    calls.append(1)
    if len(calls) == call:
      raise Killed
    return function(*args, **kwargs)

  monkeypatch.setattr(place, attribute, wrapped)


def test_the_labels_of_its_patches_meet_the_true_ones(cache, uninterrupted):
  workdir, result = uninterrupted
  config = _config(cache)
  truth = datasets.load_part(benchmarks.as_oracle(config.data), 'source')
  assert truth.labeled and len(truth.image_paths) == 7
  for index, plan in enumerate(_plans(workdir)):
    pairs = list(
      round_labels.pairs(config.to_dict(), workdir, plan, index, truth)
    )
    assert len(pairs) == (len(plan['images']) * config.rounds.patches_per_image)
    assert all(patch.shape == true.shape for patch, true in pairs)


def test_killed_within_and_between_rounds(cache, uninterrupted, monkeypatch):
  workdir = cache / 'killed'
  for place, attribute, call in (
    (round_mining, 'collect', 1),  # while the first round is planned
    (label_files, 'write_label', 3),  # half way through its patches
    (writers.Writer, 'step', 3),  # after a checkpoint within it
    (round_mining, 'collect', 1),  # at the boundary to the second round
  ):
    with monkeypatch.context() as patch, pytest.raises(Killed):
      _kill_at(patch, place, attribute, call)
      loop.run(_config(cache), str(workdir))
  result = loop.run(_config(cache), str(workdir))
  reference, expected = uninterrupted
  jax.tree.map(
    np.testing.assert_array_equal, result.variables, expected.variables
  )
  assert _plans(workdir) == _plans(reference)
  assert _patches(workdir) == _patches(reference)


def test_two_shares_rank_as_one(cache):
  config = _config(cache)
  run, student = setup.build(config, cache / 'shares')
  functions = round_mining.make_functions(run)
  whole = round_mining.collect(round_mining.rank(run, functions, student), 7)
  rows = []
  for process in range(2):
    for batch in splits.eval_batches(
      run.data.target, batch_size=1, process_index=process, process_count=2
    ):
      rows.append(
        tuple(
          map(
            np.asarray,
            functions.measure(
              student,
              parallel.to_global(
                (batch.image, batch.index, batch.valid), run.mesh
              ),
            ),
          )
        )
      )
  assert len(rows) == 8
  for ours, expected in zip(round_mining.collect(rows, 7), whole):
    np.testing.assert_array_equal(ours, expected)
  with pytest.raises(ValueError, match='each of the 7 images once'):
    round_mining.collect(rows[:-2], 7)


def test_too_few_images_for_a_choice(cache, tmp_path, monkeypatch):
  """Said before the first step, or by the round that finds none."""
  config = _config(cache)
  config.rounds.divisor = 3
  with pytest.raises(ValueError, match=r'divisor: .* 7 \* 0\.3 = 2\.1, got 3'):
    loop.run(config, str(tmp_path / 'few'))
  # A network that finds each class in one image alone.
  config = _config(cache)
  table = np.where(np.arange(7)[:, None] == np.arange(11) % 7, 0.5, np.nan)
  monkeypatch.setattr(round_mining, 'collect', lambda *_: (table, table))
  config.method.adapt_from = 0
  with pytest.raises(
    ValueError,
    match='divisor: round 1 chooses none of the 7 .* 7 of them, .* 1',
  ):
    loop.run(config, str(tmp_path / 'none'))
  assert not _plans(tmp_path / 'none')


@pytest.mark.parametrize(
  'change, message',
  [
    (dict(window=(64, 128)), 'config.rounds.window'),
    (dict(p_start=0.0), 'config.rounds.p_start'),
    (dict(divisor=0), 'config.rounds.divisor'),
  ],
)
def test_bad_fields_are_named(cache, tmp_path, change, message):
  config = _config(cache)
  config.method.adapt_from = 0
  config.rounds.update(change)
  with pytest.raises(ValueError, match=message):
    loop.run(config, str(tmp_path))


def _run_with_window(window, size=(0, 0)):
  target = types.SimpleNamespace(
    heights=np.array([9, 18]), widths=np.array([9, 36])
  )
  data = dict(target_image_size=size, keep_ratio=True, resize='bilinear')
  return types.SimpleNamespace(
    data=types.SimpleNamespace(target=target),
    config=ml_collections.ConfigDict(
      dict(data=data, rounds=dict(window=window))
    ),
  )


@pytest.mark.parametrize('window', ['(4, 4)', (4,), (4, 10)])
def test_a_window_is_a_pair_that_fits(window):
  with pytest.raises(ValueError, match=r'window: expected \(height, width\)'):
    round_mining.check_window(_run_with_window(window))


def test_a_window_fits_the_images_as_the_network_sees_them():
  # 9 x 9 becomes 12 x 12 and 18 x 36 becomes 12 x 24.
  round_mining.check_window(_run_with_window((12, 12), (12, 24)))
  with pytest.raises(ValueError, match=r'images \(12, 12\), got \(12, 14\)'):
    round_mining.check_window(_run_with_window((12, 14), (12, 24)))


def test_rounds_belong_to_lse(cache, tmp_path):
  config = _config(cache)
  config.method = common.source_only()
  with pytest.raises(ValueError, match='config.rounds'):
    checks.check_config(config)
  config = _config(cache)
  config.rounds = None
  with pytest.raises(ValueError, match='config.rounds'):
    checks.check_config(config)
  config = _config(cache)
  config.steps = 6
  with pytest.raises(ValueError, match='config.steps: expected at least 7'):
    checks.check_config(config)
