"""Scores of label files: by hand, against golden trees, and bad folders."""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from uda_jax import labels
from uda_jax.evaluate import cityscapes
from uda_jax.evaluate import files
from uda_jax.evaluate import label_ids

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden' / 'cityscapes_eval'


def _write(path, ids):
  path.parent.mkdir(parents=True, exist_ok=True)
  array = np.asarray(ids)
  mode = np.uint16 if array.max() > 255 else np.uint8
  Image.fromarray(array.astype(mode)).save(path)


def _tree(folder, truth, prediction, instances=None):
  stem = 'aachen_000000_000019'
  base = folder / 'gt' / 'aachen' / stem
  _write(base.with_name(stem + '_gtFine_labelIds.png'), truth)
  _write(
    base.with_name(stem + '_gtFine_instanceIds.png'),
    truth if instances is None else instances,
  )
  _write(folder / 'pred' / f'{stem}_x.png', prediction)
  return folder / 'pred', folder / 'gt'


def test_ignored_truth_is_no_false_positive_but_ignored_prediction_a_miss(
  tmp_path,
):
  # Road twice, hit once and once predicted as 'unlabeled'; an unlabelled pixel
  # that is predicted as road counts nowhere.
  scores = files.cityscapes(*_tree(tmp_path, [[7, 7, 0]], [[7, 0, 7]]))
  assert scores['classScores']['road'] == 0.5
  assert scores['averageScoreClasses'] == 0.5
  assert np.isnan(scores['classScores']['car'])
  assert np.isnan(scores['averageScoreInstClasses'])


def test_instances_weigh_alike(tmp_path):
  # Two cars, of one pixel (found) and of three (missed): 1 / (1 + 1).
  scores = files.cityscapes(
    *_tree(
      tmp_path,
      [[26, 26, 26, 26]],
      [[26, 7, 7, 7]],
      [[26000, 26001, 26001, 26001]],
    )
  )
  assert scores['classScores']['car'] == 0.25
  assert scores['classInstScores']['car'] == pytest.approx(0.5)
  # A truck's pixel found as a car is right for the category.
  scores = files.cityscapes(
    *_tree(tmp_path / 'b', [[26, 27]], [[26, 26]], [[26000, 27000]])
  )
  assert scores['categoryInstScores']['vehicle'] == 1


def test_ids_of_categories_cover_all():
  ids = [i for c in cityscapes.CATEGORIES for i in cityscapes.members(c)]
  assert sorted(ids) == list(range(34))


def test_train_ids(tmp_path):
  _write(tmp_path / 'gt/a.png', [[0, 0, 1, 255]])
  _write(tmp_path / 'pred/x/a.png', [[0, 1, 1, 9]])
  matrix = files.train_ids(tmp_path / 'pred', tmp_path / 'gt', 2)
  np.testing.assert_array_equal(matrix, [[1, 1], [0, 1]])


@pytest.mark.parametrize(
  'truth, classes, words',
  [
    ([[255, 255]], 3, 'alone, so there is nothing to score'),
    ([[0, 255]], 2, '0 and 255 alone, and 255 is ignored; if it is'),
    ([[0, 255]], 255, '0 and 255 alone'),
  ],
)
def test_label_files_without_classes(tmp_path, truth, classes, words):
  _write(tmp_path / 'gt/0.png', truth)
  _write(tmp_path / 'pred/0.png', [[0, 0]])
  with pytest.raises(ValueError, match=f'gt: expected .*{words}'):
    files.train_ids(tmp_path / 'pred', tmp_path / 'gt', classes)


def test_masks_of_0_and_255_are_told_how_to_be_saved(tmp_path):
  _write(tmp_path / 'gt/0.png', [[0, 255]])
  _write(tmp_path / 'pred/0.png', [[255, 255]])
  with pytest.raises(ValueError, match='pred/0.png: .* save masks of'):
    files.train_ids(tmp_path / 'pred', tmp_path / 'gt', 255)


def test_one_class_of_many_or_without_ignored_pixels(tmp_path):
  for truth, classes in (([[0, 255]], 19), ([[0, 0]], 2)):
    _write(tmp_path / 'gt/0.png', truth)
    _write(tmp_path / 'pred/0.png', [[0, 0]])
    counts = files.train_ids(tmp_path / 'pred', tmp_path / 'gt', classes)
    assert counts[0, 0] == counts.sum()


def _write_palette(path, ids, *colors):
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(np.asarray(ids, np.uint8), mode='P')
  image.putpalette([x for color in colors for x in color])
  image.save(path)


def test_palettes_that_swap_classes(tmp_path):
  red, green, black = (255, 0, 0), (0, 255, 0), (0, 0, 0)
  score = lambda: files.train_ids(tmp_path / 'pred', tmp_path / 'gt', 3)
  _write_palette(tmp_path / 'gt/0.png', [[0, 1, 2]], black, red, green)
  _write_palette(tmp_path / 'pred/0.png', [[0, 1, 2]], black, green, red)
  with pytest.raises(ValueError, match='pred: expected the palette .*as id 1;'):
    score()
  # One color of several ids, or other colors, say nothing.
  for colors in ((black, black, black), (green, green, red), (red,) * 3):
    _write_palette(tmp_path / 'gt/0.png', [[0, 1, 2]], *colors)
    _write_palette(tmp_path / 'pred/0.png', [[0, 1, 2]], *colors)
    assert score().trace() == 3
  _write_palette(tmp_path / 'pred/0.png', [[0, 1, 2]], *np.eye(3, dtype=int))
  assert score().trace() == 3
  # Some palettes share a color by chance; black also shows ignored pixels.
  others = (128, 64, 128), (0, 0, 128), (0, 128, 0)
  _write_palette(tmp_path / 'gt/0.png', [[0, 1, 255]], *others, *[black] * 253)
  _write_palette(tmp_path / 'pred/0.png', [[0, 1, 2]], black, red, others[0])
  assert score().trace() == 2
  _write_palette(tmp_path / 'gt/0.png', [[0, 1, 2]], green, (7, 7, 7), red)
  _write_palette(tmp_path / 'pred/0.png', [[0, 1, 2]], black, red, (8, 8, 8))
  assert score().trace() == 3


def test_files_that_are_not_scored_are_said(tmp_path, caplog):
  _write(tmp_path / 'gt/a.png', [[0, 1]])
  _write(tmp_path / 'gt/b.pgm', [[0, 1]])
  for name in ('a.png', 'b.png', 'c.png'):
    _write(tmp_path / 'pred' / name, [[0, 1]])
  with caplog.at_level('INFO'):
    files.train_ids(tmp_path / 'pred', tmp_path / 'gt', 2)
  assert 'scored: 1 label file\n' in caplog.text
  assert '2 predictions without a label file' in caplog.text
  assert 'gt: not compared: 1 file, such as b.pgm' in caplog.text
  caplog.clear()
  pred, truth = _tree(tmp_path / 'c', [[7, 7]], [[7, 7]])
  _write(pred / 'ulm_000000_000019.png', [[7]])
  files.cityscapes(pred, truth)
  assert '1 prediction without a label file' in caplog.text


def test_equal_names_in_several_folders(tmp_path):
  for number, folder in enumerate(('seq1', 'seq2')):
    _write(tmp_path / f'gt/{folder}/000.png', [[number, number]])
    _write(tmp_path / f'pred/{folder}/000.png', [[number, number]])
  matrix = files.train_ids(tmp_path / 'pred', tmp_path / 'gt', 2)
  np.testing.assert_array_equal(matrix, [[2, 0], [0, 2]])
  (tmp_path / 'pred/seq1').rename(tmp_path / 'pred/other')
  with pytest.raises(ValueError, match='seq2.000.png and|other.000.png and'):
    files.train_ids(tmp_path / 'pred', tmp_path / 'gt', 2)


def test_linked_folders_are_scored(tmp_path):
  for kind in ('gt', 'pred'):
    _write(tmp_path / f'{kind}/a/0.png', [[0, 0]])
    _write(tmp_path / f'far/{kind}/0.png', [[1, 1]])
    (tmp_path / kind / 'b').symlink_to(tmp_path / 'far' / kind)
  _write(tmp_path / 'far/pred/0.png', [[0, 1]])
  (tmp_path / 'gt/._0.png').write_bytes(b'junk')
  matrix = files.train_ids(tmp_path / 'pred', tmp_path / 'gt', 2)
  np.testing.assert_array_equal(matrix, [[2, 0], [1, 1]])


def _args(folder, **values):
  defaults = dict(
    predictions=folder / 'pred',
    labels=folder / 'gt',
    ids=None,
    classes=None,
    out=None,
  )
  return argparse.Namespace(**defaults | values)


def test_train_ids_are_not_scored_as_label_ids(tmp_path):
  """By their record, or by what they look like."""
  predictions, _ = _tree(tmp_path, [[7, 8, 11]], [[0, 1, 2]])
  with pytest.raises(ValueError, match='look like train ids.*ids=cityscapes'):
    files.run(_args(tmp_path))
  record = label_ids.Record('train', labels.CITYSCAPES_CLASSES)
  label_ids.write(predictions, record)
  for ids in (None, 'cityscapes'):
    with pytest.raises(ValueError, match='expected cityscapes ids, got train'):
      files.run(_args(tmp_path, ids=ids))
  label_ids.write(predictions, record._replace(ids='cityscapes'))
  with pytest.raises(ValueError, match='expected train ids, got cityscapes'):
    files.run(_args(tmp_path, ids='train'))
  _write(next(predictions.glob('*.png')), [[7, 8, 11]])
  assert f'{"mean":<16}{"1.000":>8}' in files.run(_args(tmp_path))


def test_names_come_from_the_record(tmp_path):
  _write(tmp_path / 'gt/a.png', [[0, 1, 1, 255]])
  _write(tmp_path / 'pred/ids/a.png', [[0, 1, 1, 0]])
  label_ids.write(
    tmp_path / 'pred/ids', label_ids.Record('train', ('meadow', 'cow'))
  )
  _write(tmp_path / 'pred/color/a.png', [[3, 3, 3, 3]])
  for folder in ('pred', 'pred/ids'):
    table = files.run(_args(tmp_path, predictions=tmp_path / folder))
    assert 'meadow' in table and 'cow' in table and 'road' not in table
  with pytest.raises(ValueError, match='--classes: expected those'):
    files.run(_args(tmp_path, classes=('road', 'sky')))
  (tmp_path / 'pred/ids/ids.json').unlink()
  table = files.run(
    _args(tmp_path, predictions=tmp_path / 'pred/ids', ids='train')
  )
  assert 'road' not in table and '100.0' in table


@pytest.mark.parametrize('content', ['{', '[]', '{"ids": "other"}'])
def test_a_broken_record_is_named(tmp_path, content):
  _tree(tmp_path, [[7]], [[7]])
  (tmp_path / 'pred/ids.json').write_text(content)
  with pytest.raises(ValueError, match='ids.json: expected'):
    files.run(_args(tmp_path))


@pytest.mark.parametrize(
  'spoil, message',
  [
    (lambda p: p.unlink(), 'expected a PNG for each of'),
    (lambda p: _write(p, np.zeros((2, 2))), 'expected the size of'),
    (lambda p: _write(p, np.full((1, 3), 40)), 'label ids 0..33, got 40'),
    (lambda p: p.write_bytes(b'no image'), 'expected an image'),
    (lambda p: Image.new('RGB', (3, 1)).save(p), '3 channels'),
    (lambda p: shutil.copy(p, p.with_name(p.stem + '_b.png')), 'expected one'),
  ],
)
def test_bad_folders(tmp_path, spoil, message):
  predictions, truth = _tree(tmp_path, [[7, 7, 0]], [[7, 0, 7]])
  spoil(next(predictions.glob('*.png')))
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    files.cityscapes(predictions, truth)


def test_command(tmp_path):
  out = tmp_path / 'scores.json'
  run = lambda *args: subprocess.run(
    [sys.executable, '-m', 'uda_jax.evaluate', *map(str, args)],
    capture_output=True,
    text=True,
    timeout=100,
  )
  done = run(
    f'--predictions={GOLDEN / "results"}',
    f'--labels={GOLDEN / "gtFine"}',
    f'--out={out}',
  )
  assert done.returncode == 0, done.stderr
  expected = json.loads((GOLDEN / 'expected.json').read_text())
  expected = expected['cases']['results']
  scores = json.loads(out.read_text())
  assert scores['averageScoreClasses'] == pytest.approx(
    expected['averageScoreClasses'], abs=1e-12
  )
  iou, weighted = expected['printed_classes_iou_niou']['car']
  assert f'{"car":<16}{iou:>8}{weighted:>8}' in done.stdout
  bad = run('--predictions=/nowhere', f'--labels={GOLDEN / "gtFine"}')
  assert bad.returncode == 1 and bad.stderr.startswith('error: /nowhere')
