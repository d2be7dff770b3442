"""Tables of the benchmarks: mean, spread, each seed, each class."""

from benchmarks import tables


def _report(miou, road, car):
  return {'miou': {'all classes': miou}, 'iou': {'road': road, 'car': car}}


REPORTS = {
  'adapted, teacher': [_report(0.4, 0.75, 0.25), _report(0.5, 0.85, None)],
  'oracle': [_report(0.613, 0.9, None)],
}


def test_page_has_mean_spread_and_seeds():
  assert tables.markdown(REPORTS).splitlines() == [
    '| run | mIoU | by seed |',
    '|---|---|---|',
    '| adapted, teacher | 45.0 ± 7.1 | 40.0 / 50.0 |',
    '| oracle | 61.3 | 61.3 |',
  ]


def test_csv_has_classes_and_leaves_unknown_ones_empty(tmp_path):
  page = tables.write(REPORTS, tmp_path, 'streets')
  assert (tmp_path / 'streets.md').read_text() == page
  assert (tmp_path / 'streets.csv').read_text().splitlines() == [
    'run,mIoU,spread,by seed,road,car',
    '"adapted, teacher",45.0,7.1,40.0 / 50.0,80.0,25.0',
    'oracle,61.3,,61.3,90.0,',
  ]
