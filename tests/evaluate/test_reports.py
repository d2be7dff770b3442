"""Reports of confusion matrices, as a table and as CSV."""

import json

import numpy as np
import pytest

from uda_jax.evaluate import metrics
from uda_jax.evaluate import reports


def test_report_of_a_matrix_done_by_hand():
  # Class 2 occurs nowhere; class 3 is predicted but never true.
  matrix = np.array([[3, 1, 0, 0], [0, 4, 0, 2], [0, 0, 0, 0], [0, 0, 0, 0]])
  result = reports.report(
    matrix,
    ('road', 'traffic light', 'bus', 'train'),
    {'all': range(4), '2 classes': (0, 1), 'bus': (2,)},
  )
  assert result['iou']['bus'] is None and result['iou']['train'] == 0
  np.testing.assert_allclose(result['iou']['road'], 3 / 4)
  np.testing.assert_allclose(result['iou']['traffic light'], 4 / 7)
  np.testing.assert_allclose(result['miou']['2 classes'], (3 / 4 + 4 / 7) / 2)
  np.testing.assert_allclose(result['miou']['all'], (3 / 4 + 4 / 7) / 3)
  assert result['miou']['bus'] is None
  np.testing.assert_allclose(result['pixel_accuracy'], 0.7)
  assert result['pixels'] == 10
  assert result['confusion'] == matrix.tolist()
  with pytest.raises(ValueError, match='4 class names, got 1'):
    reports.report(matrix, ('road',), {})


def test_table_lines_up():
  matrix = np.array([[3, 1, 0], [0, 6, 0], [0, 0, 0]])
  names = ('road', 'traffic light', 'bus')
  one = reports.report(matrix, names, {'19': range(3)})
  assert one['miou']['19'] == metrics.mean_iou(matrix)
  table = reports.format_table({'source_only': one, 'pixmatch': one})
  assert table == (
    '             mIoU        traffic       pixel\n'
    'run            19  road    light  bus   acc.\n'
    '--------------------------------------------\n'
    'source_only  80.4  75.0     85.7    -   90.0\n'
    'pixmatch     80.4  75.0     85.7    -   90.0\n'
  )


def test_rows_say_what_they_are():
  names = ('road', 'bus, old')
  one = reports.report(
    np.array([[3, 1], [0, 0]]), names, {reports.ALL: (0, 1), '1 class': (0,)}
  )
  chosen = one | {'selected': 'selected on target labels'}
  rows = {'student': one, 'best': chosen}
  table = reports.format_table(rows)
  assert 'best, selected on target labels  ' in table
  # The mean over everything says how many classes that is.
  assert table.splitlines()[0].split() == ['mIoU']
  assert table.splitlines()[1].split() == ['all', 'mIoU']
  assert reports.to_csv(rows) == (
    'IoU,student,"best, selected on target labels"\n'
    'road,0.75,0.75\n'
    '"bus, old",0.0,0.0\n'
    'mean of all 2 classes,0.375,0.375\n'
    'mean of 1 class,0.75,0.75\n'
    'pixel accuracy,0.75,0.75\n'
  )


def test_results_as_json_and_table(tmp_path):
  report = reports.report(np.diag([3, 0]), ('road', 'sky'), {'2': (0, 1)})
  reports.write_results(tmp_path / 'run', {'pixmatch': report}, ['a\udce9'])
  results = json.loads((tmp_path / 'run/results.json').read_text())
  assert results['pixmatch'] == report and results['pixmatch']['iou'] == {
    'road': 1.0,
    'sky': None,
  }
  text = (tmp_path / 'run/results.txt').read_text()
  assert text == reports.format_table({'pixmatch': report}) + '\na\\udce9\n'
  assert len(list((tmp_path / 'run').iterdir())) == 3


def test_the_mean_of_several_sets():
  names, subsets = ('road', 'bus'), {'all classes': (0, 1), 'bus': (1,)}
  matrices = {
    'days': np.array([[3, 1], [0, 4]]),
    'nights': np.array([[2, 0], [0, 0]]),  # without a bus
  }
  sets = {
    name: reports.report(matrix, names, subsets)
    for name, matrix in matrices.items()
  }
  mean = reports.mean(sets, sum(matrices.values()))
  assert mean['iou'] == {'road': (3 / 4 + 1) / 2, 'bus': 4 / 5}
  expected = ((3 / 4 + 4 / 5) / 2 + 1) / 2
  np.testing.assert_allclose(mean['miou']['all classes'], expected)
  assert mean['miou']['bus'] == 4 / 5 and mean['pixels'] == 10
  assert mean['confusion'] == [[5, 1], [0, 4]]
  rows = reports.with_sets({'best': mean | {'selected': 'by x'}})
  assert list(rows) == ['best', 'best on days', 'best on nights']
  assert rows['best']['sets'] == ['days', 'nights']
  assert rows['best on days'] == sets['days'] | {'selected': 'by x'}
  table = reports.format_table(rows)
  assert 'best, mean of 2 sets, by x ' in table
  assert 'best on nights, by x ' in table
  # Rows of one set stay as they are.
  assert reports.with_sets(sets) == sets
