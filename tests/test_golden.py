"""The golden files with a check, and the runner's verdicts."""

import pathlib

import jax
import numpy as np
import pytest

from tests import programs
from tests.golden import __main__ as command
from tests.golden_checks import common
from tests.golden_checks import hrda
from tests.golden_checks import maths
from tests.golden_checks import runner
from tests.golden_checks import scores

# Whole steps that take up to minutes to compile, for `make golden` alone. But
# for HRDA's, another file of the same method is in the suite.
SLOW = (
  'daformer_hrda/step_hrda',
  'ehtdi/train_main',
  'lse/train_deeplab',
  'pipa/source_pass_hrda',
  'pixmatch/train_aug_only',
  'pixmatch/train_srcfourier',
  'vfm/adapter',
  'vfm/step_vfmudapp',
)
FOLDER = pathlib.Path(__file__).parent / 'golden'


def _bytes(item):
  """Returns the size of a file, with the files that belong to it."""
  _, path = item
  return sum(p.stat().st_size for p in path.parent.glob(f'{path.stem}*'))


def _cases():
  """Maths in both precisions; whole networks in the one that trains.

  The largest come first, so that no worker is left alone with one at the end.
  """
  for name, path in sorted(runner.items(FOLDER), key=_bytes, reverse=True):
    check = runner.find(name)
    other = runner.subject(name) != name
    if check is None or other or name.startswith(SLOW):
      continue
    both = check.__module__ in (maths.__name__, scores.__name__)
    for dtype in ('float64', 'float32') if both else ('float32',):
      yield pytest.param(check, path, dtype, id=f'{name}-{dtype}')


@pytest.fixture
def dropped_programs():
  """Files share small programs alone; not one is written to the disk."""
  name = 'jax_persistent_cache_min_compile_time_secs'
  before = jax.config.jax_persistent_cache_min_compile_time_secs
  jax.config.update(name, float('inf'))
  yield
  jax.config.update(name, before)
  programs.drop_if_many()


@pytest.mark.usefixtures('dropped_programs')
@pytest.mark.parametrize(('check', 'path', 'dtype'), list(_cases()))
def test_golden_file(check, path, dtype):
  assert not runner.run(check, path, dtype).problem


@pytest.mark.parametrize(
  ('ours', 'golden', 'fails'),
  [
    ([1.0, np.nan], [1.0, np.nan], False),
    ([1.0, 0.0], [1.0, np.nan], True),
    ([1.0, np.nan], [1.0, 0.0], True),
    ([np.inf], [np.inf], False),
    ([1.0 + 1e-3], [1.0], True),
    ([1.0 + 1e-5], [1.0], False),
    ([1, 2], [1, 3], True),
    ([1.0], [1.0, 1.0], True),
  ],
)
def test_compare(ours, golden, fails):
  assert bool(runner.compare(ours, golden, 1e-4, 0.0).problem) == fails


def _write(folder, name, **arrays):
  (folder / name).parent.mkdir(exist_ok=True)
  np.savez(folder / name, **arrays)


def test_runner_reports_every_file(tmp_path, capsys):
  right = dict(
    u=np.array([0.1, 0.9]),
    blur_applied=np.array([False, True]),
    jitter_applied=np.array([False, True]),
  )
  _write(tmp_path, 'daformer_hrda/augment_gates.npz', **right)
  assert command.main([str(tmp_path), '--dtype', 'float32']) == 0
  # A file without a check is no success, a wrong or a broken one neither.
  _write(tmp_path, 'unknown/file.npz', x=np.zeros(1))
  assert command.main([str(tmp_path)]) == 1
  assert command.main([str(tmp_path), '--method', 'daformer_hrda']) == 0
  (tmp_path / 'a_tree' / 'inside').mkdir(parents=True)
  _write(
    tmp_path,
    'daformer_hrda/augment_gates_2.npz',
    **right | dict(blur_applied=np.array([True, True])),
  )
  _write(tmp_path, 'daformer_hrda/augment_gates_3.npz', u=np.zeros(1))
  capsys.readouterr()
  assert command.main([str(tmp_path)]) == 1
  lines = capsys.readouterr().out.splitlines()
  assert [line.split()[0] for line in lines[:-1]] == [
    'NO',
    'PASS',
    'FAIL',
    'FAIL',
    'NO',
  ]
  assert lines[-1] == '1 PASS, 2 FAIL, 2 NO CHECK'


def test_a_companion_shares_the_verdict(tmp_path, capsys):
  _write(tmp_path, 'pixmatch/train_x_in.npz', x=np.zeros(1))
  assert command.main([str(tmp_path)]) == 1
  assert 'train_x_out.npz, which is missing' in capsys.readouterr().out


def test_runner_names_a_missing_folder(tmp_path, capsys):
  with pytest.raises(SystemExit):
    command.main([str(tmp_path / 'absent')])
  assert 'absent' in capsys.readouterr().err


def test_a_fusion_without_detail_loss(tmp_path):
  """A weight of 0 has no term: the fused loss is all of the total."""
  arrays = common.load(FOLDER / 'daformer_hrda' / 'hrda_fusion.npz')
  case = {name: x for name, x in arrays.items() if name.startswith('a.')}
  fused = case['a.loss_fused'] / (1 - case['a.hr_loss_weight'])
  case |= {
    'a.hr_loss_weight': np.array(0.0),
    'a.loss_fused': fused,
    'a.loss_total': fused,
  }
  del case['a.loss_hr']
  _write(tmp_path, 'daformer_hrda/hrda_fusion.npz', **case)
  found = {
    name: runner.compare(*rest).problem
    for name, *rest in hrda.fusion(tmp_path / 'daformer_hrda/hrda_fusion.npz')
  }
  assert not found['a.loss_fused'] and not found['a.loss_total']
  assert 'a.loss_hr' not in found
