"""The measurements of speed: their commands, records and page."""

import json

import pytest

from benchmarks import demo_time
from benchmarks import input_pipeline
from benchmarks import speed
from benchmarks import speed_page
from benchmarks import start
from uda_jax import cli
from uda_jax import configs
from uda_jax.train import checks

LOG = (
  (3.0, 'config: self_training, 1 steps'),
  (5.0, 'network: compact, 11 classes'),
  (5.5, 'compiling the train step (once; seconds for a small network)'),
  (7.5, 'read from the compile cache in 2s, 1s of it tracing'),
  (7.6, 'compiling the panels (once)'),
  (8.0, 'compiled in 1s, 0s of it tracing'),
  (8.5, 'pictures took 0s'),
  (9.25, 'step 1/1000 (0%)  loss 0.318'),
)


_STARTS = {
  'cold': {'seconds': 90.0, 'cpu_seconds': 99.0},
  'cached': {'seconds': 9.0, 'cpu_seconds': 8.0},
}
# Part -> lines that its command prints.
LINES = {
  'train_step': [
    {
      'case': case,
      'ours': [2.0, 2.5],
      'peer': peer,
      'ratio': ratio,
      'glibc_tunables': '',
    }
    for case, peer, ratio in (('mit_b0', [3.0, 3.0], 1.2), ('lite0', [], None))
  ],
  'start': [
    {
      'case': 'mit_b5',
      **{
        kind: one | {'parts': {'imports': 3.0, 'train step': 5.0}}
        for kind, one in _STARTS.items()
      },
    }
  ],
  'input': [
    {
      'images': 'copies',
      'images_a_second_a_core': {'uda_jax': 43, 'opencv': 15},
      'times_as_long_as_uda_jax': {'opencv': [2.5, 2.8, 3.0]},
      'cpu_ms_to_copy_an_image': 300,
      'mb_an_image': 0.9,
    },
    {
      'images': 'raw',
      'images_a_second_a_core': {'uda_jax': 15, 'opencv': 14},
      'times_as_long_as_uda_jax': {'opencv': [0.9, 0.95, 1.0]},
    },
  ],
  'inference': [
    {
      'case': case,
      'network': 'DeepLab-v2, ResNet-101',
      'ours_seconds': 5.0,
      'torch_seconds': 10.0,
      'torch_times_as_long': [1.0, 2.0, 3.0],
      'pixels_alike': 0.999,
    }
    for case in ('evaluate', 'predict')
  ],
  'demo': [
    {
      'case': 'seed 0',
      'seconds': 206,
      'cpu_seconds': 185,
      'miou': {'source-only': 23.7, 'adapted': 43.2},
    }
  ],
}


def test_parts_of_a_start_add_up_to_it():
  found = start.parts(LOG)
  assert found == {
    'imports': 3.0,
    'data and network': 2.0,
    'train state': 0.5,
    'train step': 2.0,
    'pictures': 1.0,
    'first step': 0.8,
  }
  assert sum(found.values()) == pytest.approx(LOG[-1][0], abs=0.06)


def test_a_log_without_a_part_is_an_error():
  with pytest.raises(ValueError, match='pictures took'):
    start.parts([line for line in LOG if 'pictures' not in line[1]])


def test_a_training_that_fails_is_an_error_with_its_line():
  with pytest.raises(cli.Failed, match='streets/none'):
    start.first_step(['--config=streets/none', '--workdir=/none'], {})


@pytest.mark.parametrize('case', start.CASES.values())
def test_configs_of_the_starts_are_valid(case, tmp_path):
  config = configs.load(case.config)
  if case.pretrained:
    weights = tmp_path / 'mit_b5.pth'
    weights.touch()
    config.model.weights = str(weights)
    assert config.data.crop_size == (128, 128)
  checks.check_config(config)


def test_score_of_the_demo(tmp_path):
  report = {'teacher': {'miou': {'all classes': 0.4291}}}
  (tmp_path / 'results.json').write_text(json.dumps(report))
  assert demo_time.miou(tmp_path, 'teacher') == 42.9


def test_copies_beside_files_as_published(monkeypatch, tmp_path):
  monkeypatch.setattr(input_pipeline, 'data_block', lambda _, form: form)
  monkeypatch.setattr(
    input_pipeline,
    'loaders',
    lambda form: {'uda_jax': f'ours {form}', 'opencv': f'other {form}'},
  )
  assert input_pipeline.mixed(tmp_path) == {
    'uda_jax': 'ours prepared',
    'opencv': 'other raw',
  }


@pytest.fixture(name='stored')
def _stored(monkeypatch, tmp_path):
  """Two parts, and an empty folder of results."""
  monkeypatch.setattr(speed, 'ROOT', tmp_path)
  monkeypatch.setattr(speed_page, 'RESULTS', tmp_path / 'speed')
  monkeypatch.setattr(speed_page, 'PAGE', tmp_path / 'README.md')
  monkeypatch.setattr(speed_page, 'SECTIONS', {})
  monkeypatch.setattr(
    speed, 'PARTS', {'first': ('first',), 'second': ('no_such_module',)}
  )
  return tmp_path / 'speed'


def test_each_part_is_stored_as_soon_as_it_ends(stored, monkeypatch):
  record = {'lines': [{'case': 'x'}], 'command': 'python -m first'}
  measured = []

  def measure(part, cache_dir, peer):
    if part == 'second':
      raise cli.Failed('second: its command failed')
    measured.append(part)
    return record

  monkeypatch.setattr(speed, 'measure', measure)
  for _ in range(2):
    with pytest.raises(SystemExit):
      speed.main([])
    # The second start goes on with what is missing.
    assert measured == ['first']
  assert json.loads((stored / 'first.json').read_text()) == record
  with pytest.raises(SystemExit):
    speed.main(['--parts=first,second'])
  assert measured == ['first', 'first']


def test_a_command_that_fails_stores_nothing(stored, tmp_path):
  with pytest.raises(cli.Failed, match='second'):
    speed.measure('second', tmp_path, '')
  assert not stored.exists()


def test_a_record_says_how_and_where(monkeypatch, tmp_path):
  code = 'import json, sys; print(json.dumps({"case": sys.argv[1]}))'
  (tmp_path / 'part_of_speed.py').write_text(code)
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  monkeypatch.setattr(
    speed, 'PARTS', {'x': ('part_of_speed', '--cache_dir={cache_dir}')}
  )
  record = speed.measure('x', tmp_path, '')
  assert record['lines'] == [{'case': f'--cache_dir={tmp_path}'}]
  # The page names no folder of the machine.
  assert record['command'] == 'python -m part_of_speed --cache_dir=DIR'
  assert record['date'] and record['machine'] and record['versions']['jax']


def test_unknown_parts_are_an_error(capsys):
  with pytest.raises(SystemExit, match='^2$'):
    speed.main(['--parts=sart'])
  assert '--parts: expected some of train_step, ' in capsys.readouterr().err


def test_the_page_is_what_the_records_give():
  assert speed_page.PAGE.read_text() == speed_page.page(), (
    'run python -m benchmarks.speed --table'
  )
  assert speed_page.SECTIONS.keys() == speed.PARTS.keys()


def test_the_page_shows_every_part(monkeypatch, tmp_path):
  monkeypatch.setattr(speed_page, 'RESULTS', tmp_path)
  missing = speed_page.page()
  for part, lines in LINES.items():
    assert f'--parts={part}`' in missing
    record = {'lines': lines, 'date': '2026-11-30', 'machine': 'M', 'load': 0.1}
    record |= {'versions': {'jax': '1.2'}, 'command': f'run {part}'}
    (tmp_path / f'{part}.json').write_text(json.dumps(record))
  page = speed_page.page()
  assert 'Not measured' not in page
  assert all(
    f'`run {part}`\n\n2026-11-30, M, load 0.1' in page for part in LINES
  )
  for row in (
    '| DAFormer, MiT-B5, crops of 128 | cached | **9.0** | 8.0 | 3.0 | 5.0 |',
    '| OpenCV | copies | PNG as published | **2.80** (2.50 to 3.00) | 43 '
    '| 15 |',
    '| OpenCV | PNG as published | PNG as published | **0.95** (0.90 to 1.00) '
    '| 15 | 14 |',
    '| evaluation at 1024 x 2048 | **2.00** (1.00 to 3.00) | 0.200 | 0.100 |',
    '| seed 0 | **3 min 26 s** | 23.7 | 43.2 |',
  ):
    assert row in page.splitlines()


def test_ratios_show_their_range():
  assert speed_page.ratio([1.0, 2.0, 3.0]) == '**2.00** (1.00 to 3.00)'
  assert speed_page.ratio([2.0, 2.0, 2.0]) == '**2.00**'


def test_both_take_turns_and_the_first_turn_counts_nowhere(monkeypatch):
  pytest.importorskip('torch')
  from benchmarks import inference_speed

  clock = iter([0, 9, 9, 19, 20, 21, 21, 24, 30, 32, 32, 40])
  monkeypatch.setattr(inference_speed.time, 'perf_counter', lambda: next(clock))
  calls = []
  found = inference_speed.in_turns(
    lambda i: calls.append(('ours', i)), lambda i: calls.append(('torch', i)), 2
  )
  assert calls == [(n, i) for i in range(3) for n in ('ours', 'torch')]
  assert found == {
    'ours_seconds': 1.5,
    'torch_seconds': 5.5,
    'torch_times_as_long': [3.0, 3.5, 4.0],
  }
