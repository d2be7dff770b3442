"""The page about runs: its numbers, and that it stands alone."""

import base64
from html import parser
import io
import json
import pathlib
import re

import numpy as np
from PIL import Image
import pytest

from tests import report_runs
from uda_jax import galleries
from uda_jax import pictures
from uda_jax.report import __main__ as command
from uda_jax.report import events
from uda_jax.report import images
from uda_jax.report import page
from uda_jax.report import read
from uda_jax.report import scores

VOID = {'meta', 'link', 'img', 'input', 'br'}


@pytest.fixture(scope='module')
def paths(tmp_path_factory):
  folder = tmp_path_factory.mktemp('runs')
  report_runs.write(folder / 'source_only', 'source_only', seed=1)
  report_runs.write(folder / 'adapted')
  return [folder / 'source_only', folder / 'adapted']


@pytest.fixture(scope='module')
def runs(paths):
  return read.runs(paths)


@pytest.fixture(scope='module')
def html(runs):
  return page.render(runs)


class Page(parser.HTMLParser):
  """Collects the elements of a page; fails on one that is not closed."""

  def __init__(self, html):
    super().__init__()
    self.open, self.tags, self.text = [], [], []
    self.feed(html)
    self.close()
    assert not self.open

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.text.append(data)


def test_the_page_stands_alone(html):
  tags = Page(html).tags
  sources = [attrs['src'] for _, attrs in tags if 'src' in attrs]
  assert sources and all(x.startswith('data:image/webp') for x in sources)
  for tag, attrs in tags:
    link = attrs.get('href', attrs.get('xlink:href', '#'))
    assert link.startswith('#') or link == 'data:,', (tag, link)
  assert '@import' not in html and not re.search(r'url\((?!#)', html)
  assert len(html) < 1_000_000


def test_the_page_can_be_read_without_eyes(html):
  tags = Page(html).tags
  ids = [attrs['id'] for _, attrs in tags if 'id' in attrs]
  assert len(ids) == len(set(ids))
  assert all(attrs['alt'] for tag, attrs in tags if tag == 'img')
  assert all(attrs['aria-label'] for tag, attrs in tags if tag == 'svg')
  levels = [int(tag[1]) for tag, _ in tags if re.fullmatch('h[1-6]', tag)]
  assert levels[0] == 1 and max(np.diff(levels)) == 1
  links = {a['href'][1:] for tag, a in tags if tag == 'a'}
  assert links <= set(ids)


def test_names_are_text(html):
  text = ' '.join(Page(html).text)
  assert '<b>sky</b> & $x$' in text and '車' in text
  assert '<b>sky' not in html


def test_scores_of_all_networks(runs):
  table = scores.columns(runs)
  assert [(c.run, c.name, c.reported) for c in table] == [
    (0, 'student', True),
    (1, 'student', False),
    (1, 'teacher', True),
  ]
  name, values = scores.by_class(table)[0]
  assert name == 'road'
  np.testing.assert_allclose(values, [6 / 13, 6 / 13, 8 / 9])
  assert scores.by_class(table)[2] == ('車', [0, 0, None])
  assert scores.label_free(table) == [('entropy', [3.0, None, 3.0])]
  assert [name for name, _ in scores.means(table)] == [
    'mean of all classes',
    'pixel accuracy',
  ]


def test_confusions_by_hand(runs):
  found = scores.confusion(runs[0].results['student'])
  np.testing.assert_allclose(found.fractions[0], [0.75, 0.25, 0])
  sky = report_runs.NAMES[1]
  assert found.largest == [
    ('車', 'road', 1.0, 4),
    ('road', sky, 0.25, 2),
    (sky, 'road', 0.25, 1),
  ]
  teacher = scores.confusion(runs[1].results['teacher'])
  assert np.isnan(teacher.fractions[2]).all()
  assert scores.confusion({'iou': {'road': 1.0}}) is None


def test_curves_of_a_resumed_run(paths, tmp_path):
  found = events.scalars(paths[1] / 'curves')
  assert list(found['loss/source'].steps) == [10, 20, 30]
  np.testing.assert_allclose(
    found['loss/source'].values, [0.1, np.nan, 1 / 30], rtol=1e-6
  )
  np.testing.assert_allclose(found['eval/iou/road'].values, [8 / 9] * 3)
  assert events.scalars(tmp_path) == {}
  # A killed process leaves half of a record.
  [file] = (paths[1] / 'curves').iterdir()
  (tmp_path / file.name).write_bytes(file.read_bytes()[:-7])
  assert list(events.scalars(tmp_path)['loss/source'].steps) == [10, 20, 30]


def test_skipped_and_missing(runs, tmp_path):
  text = ' '.join(page.missing(runs[1]))
  assert '1 of 3 logged steps changed nothing' in text and 'steps 20.' in text
  assert 'loss/source: 1 of 3 values are not finite' in text
  assert 'Classes without a score, neither in the labels nor' in text
  assert runs[1].notes == ('Evaluated on rain, 2 images.',)
  report_runs.write(tmp_path / 'early', finished=False)
  [early] = read.runs([tmp_path / 'early'])
  assert 'It has no scores' in ' '.join(page.missing(early))
  assert 'No run has scores yet.' in page.render([early])


def test_an_earlier_run_without_a_matrix(runs):
  results = {
    name: {key: x for key, x in report.items() if key != 'confusion'}
    for name, report in runs[1].results.items()
  }
  earlier = runs[1]._replace(results=results, curves={})
  text = ' '.join(page.missing(earlier))
  assert 'no confusion matrix' in text and 'It has no curves' in text
  assert 'adapted has no confusion matrix' in page.render([earlier])


def test_strips_show_the_same_images(runs, tmp_path):
  found = images.strips(runs)
  assert found.titles == (
    'image',
    'truth',
    'source_only, step 30',
    'adapted, step 30',
  )
  assert len({picture.src for picture in found.pictures}) == 4
  assert not found.left_out
  data = base64.b64decode(found.pictures[1].src.partition(',')[2])
  decoded = np.asarray(Image.open(io.BytesIO(data)))
  # The first column of the page, without title and legend.
  path = images.pages(runs[0], 'evaluation')[-1][1]
  sheet = np.asarray(Image.open(path).convert('RGB'))
  _, truth, *_ = galleries.gallery_columns(
    sheet, 4, palette=report_runs.PALETTE, class_names=report_runs.NAMES
  )
  assert truth.shape == (2 * 213 + 8, 320, 3)
  np.testing.assert_array_equal(decoded, truth)
  assert tuple(truth[0, 0]) == report_runs.PALETTE[0]
  assert tuple(truth[-1, -1]) == report_runs.PALETTE[2]
  assert images.strips(runs[:1]) is None
  other = sheet.copy()
  other[40, 20] = 1
  (tmp_path / 'panels').mkdir()
  pictures.write_png(tmp_path / 'panels/evaluation_000030.png', other)
  changed = runs[1]._replace(name='changed', path=tmp_path)
  left_out = images.strips([*runs, changed]).left_out
  assert left_out == (('changed', 'was evaluated on other images'),)


def test_galleries_are_bounded(runs, tmp_path):
  (tmp_path / 'panels').mkdir()
  for step in (0, 5, 1_000_000, 20, 7):
    pictures.write_png(
      tmp_path / f'panels/step_{step:06d}.png', np.zeros((2, 3, 3), np.uint8)
    )
  shown, count = images.gallery(runs[0]._replace(path=tmp_path), 'step')
  assert count == 5
  assert [int(p.alt.split()[-1]) for p in shown] == [0, 7, 1_000_000]


def test_the_command(paths, tmp_path, capsys):
  out = tmp_path / 'a b' / 'report.html'
  command.main([*map(str, paths), f'--out={out}'])
  assert capsys.readouterr().out == out.as_uri() + '\n'
  assert 'source_only' in out.read_text()


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda run: run / 'none', 'expected the directory of a run'),
    (lambda run: [run, run], 'expected each run once'),
  ],
)
def test_bad_input_is_one_line(paths, tmp_path, change, message):
  changed = change(paths[0])
  args = map(str, changed if isinstance(changed, list) else [changed])
  with pytest.raises(SystemExit, match=message):
    command.main([*args, f'--out={tmp_path / "x.html"}'])
  with pytest.raises(SystemExit, match='expected an HTML file to write'):
    command.main([str(paths[0]), f'--out={tmp_path}'])


def test_results_that_are_none(tmp_path):
  report_runs.write(tmp_path / 'run')
  (tmp_path / 'run/results.json').write_text(json.dumps({'student': 3}))
  with pytest.raises(ValueError, match='expected the results of a run'):
    read.runs([tmp_path / 'run'])


def test_the_config_is_that_of_the_last_start(tmp_path):
  report_runs.write(tmp_path / 'run')
  path = tmp_path / 'run/manifest.json'
  manifest = json.loads(path.read_text())
  changed = {'steps': 50, 'eval.network': 'student'}
  manifest['starts'].append(
    manifest['starts'][0] | {'changed_fields': changed, 'date': 'Monday'}
  )
  path.write_text(json.dumps(manifest))
  [run] = read.runs([tmp_path / 'run'])
  assert run.reported == 'student' and page.facts(run)['steps'] == '50'
  assert run.config['eval']['every'] == manifest['config']['eval']['every']
  text = page.missing(run)
  assert 'It was resumed once.' in text
  assert 'config.steps was changed to 50 at Monday.' in text


def test_runs_that_do_not_compare(paths, tmp_path):
  report_runs.write(tmp_path / 'other', evaluation='snow')
  line = 'The runs are scored on different images or labels'
  assert line not in page.render(read.runs(paths))
  html = page.render(read.runs([paths[0], tmp_path / 'other']))
  assert line in html and 'other on snow, 2 images.' in html
  # Of any of the runs, not of the first alone.
  manifest = tmp_path / 'other/manifest.json'
  tree = json.loads(manifest.read_text())
  tree['starts'][-1]['data']['target_labels'] = {'name': 'part', 'images': 1}
  manifest.write_text(json.dumps(tree))
  html = page.render(read.runs([paths[0], tmp_path / 'other']))
  assert '<th scope="row">target labels</th><td>–</td><td>part, 1 image' in html


def test_the_best_network_is_the_reported_one(runs):
  run = runs[1]
  config = run.config | {'eval': run.config['eval'] | {'checkpoint': 'best'}}
  run = run._replace(config=config)
  # Without evaluations during training there is no row of the best.
  assert run.reported == 'teacher'
  best = run.results['teacher'] | {'step': 20}
  run = run._replace(results=run.results | {'best': best})
  assert run.reported == 'best'
  assert [c.name for c in scores.columns([run]) if c.reported] == ['best']
  # Labeled target images that came later.
  results = run.results | {'best, on B': best, 'student, on B': best}
  assert run._replace(results=results).reported == 'best, on B'


def test_target_images_come_first_and_are_open(paths, tmp_path):
  report_runs.write(tmp_path / 'run')
  pictures.write_png(
    tmp_path / 'run/panels/target_000030.png', np.zeros((4, 4, 3), np.uint8)
  )
  html = page.render(read.runs([tmp_path / 'run', paths[0]]))
  first = html.index('<details class="gallery"')
  assert html[first:].startswith('<details class="gallery" open>')
  assert 'Target images: predictions of the runs' in html[first : first + 300]


def test_names_of_images_that_are_not_utf8(tmp_path):
  report_runs.write(tmp_path / 'run')
  path = tmp_path / 'run/results.json'
  # As JSON writes a byte of no character.
  path.write_text(path.read_text().replace('/bad.png', '/caf\\udce9.png'))
  page.write([tmp_path / 'run'], tmp_path / 'report.html')
  assert 'caf?.png' in (tmp_path / 'report.html').read_text()


def test_the_worst_and_the_best_images(runs):
  (column, kind, worst), (_, _, best) = scores.images(scores.columns([runs[1]]))
  assert column.reported and kind == 'worst'
  assert [row['name'] for row in worst] == ['bad.png', '<good>.png']
  assert best == worst[::-1]
  html = page.render([runs[1]])
  assert 'worst 2 of 2 images' in html and '&lt;good&gt;.png' in html
  assert 'data-value="0.4">40.0' in html
  for kind in ('worst', 'best', 'random'):
    assert images.KINDS[kind] in html and len(images.pages(runs[1], kind)) == 1


def test_names_are_the_shortest_that_differ():
  paths = [pathlib.Path('/a/x/run'), pathlib.Path('/a/y/run')]
  assert read._names(paths) == ['x/run', 'y/run']
  assert read._names(paths[:1]) == ['run']
