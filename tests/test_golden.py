"""The golden files with a check, and the runner's verdicts."""

import pathlib
import shutil

import jax
import numpy as np
import pytest

from tests import programs
from tests.golden import __main__ as command
from tests.golden_checks import common
from tests.golden_checks import data
from tests.golden_checks import hrda
from tests.golden_checks import maths
from tests.golden_checks import mic
from tests.golden_checks import runner
from tests.golden_checks import scores
from tests.golden_checks import self_training

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


def _checked(check, path):
  """Returns the names that a check compares; all must be right."""
  differences = list(check(path))
  assert not _problems(differences)
  return {name for name, *_ in differences}


def test_evaluation_of_batches_of_several_images(tmp_path):
  arrays = common.load(FOLDER / 'pixmatch' / 'eval19.npz')
  join = lambda name: np.concatenate([arrays.pop(f'{name}{i}') for i in (0, 1)])
  arrays |= {'gt0': join('gt'), 'pred0': join('pred')}
  arrays |= {'gt1': arrays.pop('gt2'), 'pred1': arrays.pop('pred2')}
  _write(tmp_path, 'pixmatch/eval19.npz', **arrays)
  assert 'confusion' in _checked(
    scores.pixmatch_evaluation, tmp_path / 'pixmatch/eval19.npz'
  )


def test_losses_with_labels_of_the_main_head_alone(tmp_path):
  """The total is NaN in the reference; what it has of the main head counts."""
  arrays = common.load(FOLDER / 'pixmatch' / 'losses.npz')
  case = {k: v for k, v in arrays.items() if k.startswith('mixed_')}
  for name, value in (
    ('mixed_y_aux', -1),
    ('mixed_pert_total', np.nan),
    ('mixed_pert_grad_aux', 0),
  ):
    case[name] = np.full_like(case[name], value)
  _write(tmp_path, 'pixmatch/losses.npz', **case)
  names = _checked(maths.pixmatch_losses, tmp_path / 'pixmatch/losses.npz')
  assert {'mixed_pert_grad_main', 'mixed_aux_of_none'} <= names


def test_official_scores_of_a_tree_inside_the_tree(tmp_path):
  shutil.copytree(FOLDER / 'cityscapes_eval', tmp_path / 'absent_case')
  names = _checked(data.cityscapes_eval, tmp_path)
  assert 'results.averageScoreClasses' in names


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


def _problems(differences):
  """Returns what differs, by name."""
  found = {name: runner.compare(*rest).problem for name, *rest in differences}
  return {name: problem for name, problem in found.items() if problem}


def test_windows_cut_to_a_low_image(tmp_path):
  """Their cells have 4 pixels a side as those of whole windows."""
  logits = np.stack([np.ones((6, 8, 1)), np.full((6, 8, 1), 3.0)])
  out = np.ones((1, 6, 10, 1))
  out[:, :, 2:8], out[:, :, 8:] = 2.0, 3.0
  _write(
    tmp_path,
    'daformer_hrda/hrda_stitch.npz',
    **{
      'a.image_hw': np.array([24, 40]),
      'a.crop': np.array([32, 32]),
      'a.overlapping': np.array(True),
      'a.boxes': np.array([[0, 24, 0, 32], [0, 24, 8, 40]]),
      'a.logits': logits,
      'a.out': out,
    },
  )
  assert not _problems(hrda.stitch(tmp_path / 'daformer_hrda/hrda_stitch.npz'))


@pytest.mark.parametrize('exact', [False, True])
def test_draws_next_to_their_limits(tmp_path, exact):
  """Python compares its draws in float64, PyTorch in float32."""
  u = np.array([0.2, np.nextafter(0.2, 1), 0.5, np.nextafter(0.5, 1)])
  gates = 'daformer_hrda/augment_gates.npz'
  _write(tmp_path, gates, u=u, jitter_applied=u > 0.2, blur_applied=u > 0.5)
  ratio = 0.3  # below its float32
  u = np.array([[[ratio, 0.4]]], np.float32)
  x = np.ones((1, 2, 4, 3))
  y = np.where(np.arange(4)[:, None] < 2, 0.0, x)
  mask = 'daformer_hrda/mic_mask.npz'
  case = dict(x=x, u=u, ratio=np.array(ratio), block=np.array(2), y=y)
  _write(tmp_path, mask, **{f'a.{name}': value for name, value in case.items()})
  with jax.enable_x64(exact):
    assert not _problems(maths.augment_gates(tmp_path / gates))
    assert not _problems(mic.mask(tmp_path / mask))


def test_a_confidence_at_the_threshold(tmp_path):
  """It is confident, as in float32 so in a check in float64."""
  prob = np.float32(0.9)
  logits = np.log(np.array([[[[prob, 1 - prob]]]], np.float64))
  case = dict(
    logits=logits.astype(np.float32),
    threshold=np.array(0.9),
    label=np.zeros((1, 1, 1), int),
    weight=np.ones((1, 1, 1)),
    n_confident=np.array(1),
  )
  path = 'daformer_hrda/pseudo_label.npz'
  _write(tmp_path, path, **{f'a.{name}': value for name, value in case.items()})
  with jax.enable_x64(True):
    assert not _problems(maths.pseudo_label(tmp_path / path))


def test_classes_of_equal_size(tmp_path):
  """They may stand in any order."""
  pixels = np.array([[5, 5, 9]])
  share = np.array([14, 14, 10]) / 19
  weight = np.exp((share - share.max()) / 0.1)
  path = 'daformer_hrda/rcs.npz'
  prob = weight / weight.sum()
  found = {'a.pixels': pixels, 'a.T0.1.prob': prob}
  _write(tmp_path, path, **found, **{'a.T0.1.classes': np.array([1, 0, 2])})
  assert not _problems(data.rare_classes(tmp_path / path))


@pytest.mark.parametrize(
  ('exact', 'others'), [(False, 2), (True, 2), (True, 0)]
)
def test_decisions_of_a_teacher_that_rounding_changes(exact, others):
  """A few labels may differ in float32, none in float64."""
  golden = np.zeros((1, 50, 50), int)
  label = golden.copy()
  label.flat[:others] = 1
  d = {
    'mixed_label': golden,
    'confident_fraction': np.array(0.01),
    'lr': np.array([1.0, 10.0]),
    'mixed_weight_sum': np.array([25.0]),
    'mixed_img_mean': np.zeros((1, 3)),
    'mix.decode.loss_seg': np.array(2.0),
  }
  panels = {
    'mixed_label': label,
    'mixed_weight': np.full((1, 50, 50), 0.01),
    'mixed': np.zeros((1, 4, 4, 3)),
  }
  metrics = {
    'learning_rate': 1.0,
    'pseudo/confident_fraction': 0.01,
    'loss/mixed': 2.0 + 1e-3 * others,
  }
  with jax.enable_x64(exact):
    found = _problems(
      self_training.logged(
        0,
        {f't0.{name}': value for name, value in d.items()},
        metrics,
        panels,
        {'mix.decode.loss_seg': 'mixed'},
      )
    )
  assert bool(found) == (exact and others > 0)
