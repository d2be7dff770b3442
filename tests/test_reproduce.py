"""Stored results, and the tables and plots made of them."""

import json
import math
import re

import numpy as np
import pytest

from benchmarks import ablation_tables
from benchmarks import adaptation
from benchmarks import claims
from benchmarks import criteria_tables
from benchmarks import plan
from benchmarks import plots
from benchmarks import records
from benchmarks import reproduce
from benchmarks import rows
from benchmarks import runs
from benchmarks import score_tables
from uda_jax import configs
from uda_jax.evaluate import by_image
from uda_jax.evaluate import counts as counts_lib
from uda_jax.evaluate import reports
from uda_jax.runs import provenance
from uda_jax.runs import writers
from uda_jax.train import interrupts

NAMES = ('road', 'sky')
IMAGES = tuple(f'/data/{i}.png' for i in range(12))


def _report(right, seed):
  """Scores of a network that labels a share of about `right` correctly."""
  random = np.random.default_rng(seed)
  matrix = np.zeros((len(IMAGES), 2, 2), np.int64)
  for i in range(len(IMAGES)):
    for c in range(2):
      hit = int(1000 * np.clip(random.normal(right, 0.02), 0, 1))
      matrix[i, c, c], matrix[i, c, 1 - c] = hit, 1000 - hit
  found = counts_lib.Counts(
    np.arange(len(IMAGES)), matrix, np.full(len(IMAGES), right)
  )
  return reports.report(matrix.sum(0), NAMES, {reports.ALL: (0, 1)}) | {
    'images': by_image.summary(found, IMAGES),
    'label_free': {'entropy': 1 - right, 'confident': right, 'prior': right},
  }


def _write_run(path, job, right):
  """Writes the directory of a finished run that was evaluated twice."""
  config = configs.load(f'{job.benchmark}/{job.config}')
  config.seed = job.seed
  facts = {
    'images': {},
    'classes': {'names': NAMES, 'palette': ((0, 0, 0), (9, 9, 9))},
    'weights': None,
  }
  path.mkdir(parents=True)
  provenance.run_manifest(path, config, facts)
  network = config.eval.network
  with writers.Writer(
    path, num_steps=job.steps, images_per_step=4, every=10
  ) as writer:
    for step in (job.steps // 2, job.steps):
      part = right * (0.8 if step < job.steps else 1.0)
      writer.report(step, _report(part, job.seed))
  last = _report(right, job.seed)
  results = {network: last, 'best': last | {'selected': 'on labels', 'step': 1}}
  reports.write_results(path, results)
  return path


# Config -> share of right pixels: self-training is better than the source
# alone, and so is MIC than self-training, by less than the seeds differ.
RIGHT = {'source_only': 0.6, 'self_training': 0.8, 'mic': 0.81}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Stored results of three configs and three seeds."""
  base = tmp_path_factory.mktemp('results')
  for config, right in RIGHT.items():
    for seed in range(3):
      job = plan.Job('streets', config, seed, 1000)
      shift = (0.0, 0.03, -0.03)[seed] if config == 'mic' else 0.005 * seed
      workdir = _write_run(
        base / 'runs' / f'{config}{seed}', job, right + shift
      )
      records.write(base / 'stored', job, workdir)
  return base / 'stored'


@pytest.fixture(scope='module')
def found(folder):
  return records.read_all(folder)


def test_records_hold_what_the_run_scored(folder, found):
  assert [r.job.config for r in found[::3]] == list(RIGHT)
  record = found[3]
  assert record.job == ('streets', 'self_training', 0, 1000)
  # The network that labels selected is not stored.
  assert list(record.networks) == [record.reported] == ['teacher']
  expected = _report(0.8, 0)
  report = records.report(record, 'teacher')
  assert report['miou'] == expected['miou'] and report['iou'] == expected['iou']
  assert report['label_free'] == expected['label_free']
  assert [e['step'] for e in record.evaluations] == [500, 1000]
  last = record.evaluations[-1]
  assert last['miou'] == pytest.approx(expected['miou']['all classes'])
  assert last['label_free']['entropy'] == pytest.approx(0.2)
  assert record.made_by['packages']['jax']
  assert records.path(folder, record.job).stat().st_size < 10_000


def _tampered(folder, tmp_path, change):
  """Returns a copy of a file with a change of its content."""
  job = plan.Job('streets', 'mic', 0, 1000)
  content = json.loads(records.path(folder, job).read_text())
  change(content)
  file = records.path(tmp_path, job)
  file.parent.mkdir(parents=True, exist_ok=True)
  file.write_text(json.dumps(content))
  return file


def _first(content):
  return next(iter(content['networks'].values()))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda x: _first(x)['counts'].pop(), 'do not add up'),
    (lambda x: _first(x).update(miou=0.99), 'expected a mean IoU of 0'),
    (lambda x: x['classes'].append('third'), 'expected a confusion of 3'),
    (lambda x: x.update(seed=1), 'as its content says'),
    (lambda x: x.pop('names'), 'got something else'),
    (lambda x: _first(x).update(counts=['a/b']), 'got something else'),
  ],
)
def test_changed_files_are_refused(folder, tmp_path, change, message):
  file = _tampered(folder, tmp_path, change)
  with pytest.raises(ValueError, match=message) as error:
    records.read(file)
  assert str(error.value).startswith(str(file))


def test_other_images_do_not_compare(folder, tmp_path):
  for record in records.read_all(folder)[:1]:
    file = records.path(tmp_path, record.job)
    file.parent.mkdir(parents=True)
    file.write_text(records.path(folder, record.job).read_text())
  _tampered(folder, tmp_path, lambda x: x.update(names='others'))
  with pytest.raises(ValueError, match='expected the images and classes'):
    records.read_all(tmp_path)


def test_runs_without_counts_are_refused(tmp_path):
  job = plan.Job('streets', 'source_only', 0, 1000)
  workdir = _write_run(tmp_path / 'run', job, 0.5)
  results = json.loads((workdir / 'results.json').read_text())
  del results['student']['images']
  (workdir / 'results.json').write_text(json.dumps(results))
  with pytest.raises(ValueError, match='which only evaluates'):
    records.write(tmp_path, job, workdir)


def test_claims_need_seeds_and_images(found):
  table = {row.name: row for row in rows.stored(found)}
  source, base = table[claims.SOURCE], table[claims.PLAIN]
  claim = claims.compare(base, source)
  assert claim.verdict == 'better'
  np.testing.assert_allclose(claim.gain, base.mean - source.mean)
  assert 0 < claim.seeds[0] < claim.gain < claim.seeds[1]
  assert 0 < claim.images[0] < claim.gain < claim.images[1]
  assert claims.compare(source, base).verdict == 'worse'
  # Sure of the images, not of the seeds.
  assert claims.compare(table['mic, teacher'], base).verdict == 'not shown'
  found = claims.against(list(table.values()), claims.SOURCE)
  assert {name: claim.verdict for name, claim in found.items()} == {
    'self_training, teacher': 'better',
    'mic, teacher': 'better',
  }
  assert claims.against([source], claims.base([source])) == {}


def _rows(**scores):
  """Rows of one seed, named such as 'mic_student', with equal images."""
  counts = np.ones((1, 4, 2, 2), np.int64)
  return [
    rows.Row(name.replace('_', ', '), (score,), (0,), {}, counts)
    for name, score in scores.items()
  ]


def test_one_seed_shows_nothing():
  (source, base) = _rows(source_student=1.0, base_teacher=9.0)
  claim = claims.compare(base, source)
  assert claim.by_seed == (8.0,) and math.isnan(claim.seeds[0])
  assert claims.short(claim) == '+8.0, one seed'
  assert claims.compare(base, source._replace(seeds=(1,))) is None


def test_students_are_compared_with_the_student_of_the_base():
  found = _rows(
    daformer_student=5.0, daformer_teacher=4.0, mic_student=5.5, mic_teacher=5.5
  )
  found += _rows(oracle_student=9.0)
  gains = lambda rows: {
    name: claim.gain
    for name, claim in claims.against(rows, claims.BASE, alike=True).items()
  }
  assert gains(found) == {
    'daformer, student': 1.0,
    'mic, student': 0.5,
    'mic, teacher': 1.5,
  }
  without = [row for row in found if row.name != 'daformer, student']
  assert gains(without)['mic, student'] == 1.5  # there is no other


def test_tables_of_ablations():
  terms = ablation_tables.read('streets_terms')
  assert terms['pixmatch: all three (teacher)'] == [48.1]
  (row,) = _rows(pixmatch_teacher=44.0)
  text = ablation_tables.class_balance(
    {'camvid_to_idd': [row], 'streets_to_camvid': []}
  )
  line = '| 41.6 ± 0.7 | 42.2 / 41.6 / 40.9 | 44.0 | 44.0 |'
  assert f'| camvid_to_idd | pixmatch, teacher {line}' in text
  assert text.splitlines()[-1].endswith('| 43.9 | 43.9 |  |  |')


def test_tables_of_stored_runs(found, monkeypatch):
  monkeypatch.setattr(claims, 'RESAMPLES', 50)
  oracle = [
    r._replace(
      job=r.job._replace(config='oracle'),
      networks={'student': r.networks[r.reported]},
    )
    for r in found[6:9]
  ]
  results = rows.Results([*found, *oracle])
  drawn = reproduce.pictures(results)
  assert list(drawn) == ['steps_streets.svg', 'criteria_streets.svg']
  tests = score_tables.tested(results)
  makers = reproduce.blocks(results, tests, drawn)
  monkeypatch.setattr(ablation_tables, 'class_balance', lambda stored: 'new')
  page = reproduce.filled(
    ''.join(f'<!-- tables: {n} -->\nold\n<!-- end -->\n' for n in makers),
    makers,
  )
  assert 'old' not in page and page.count('<!-- end -->') == len(makers)
  assert '| streets | 1000 | 12 | 36 |' in page
  assert re.search(r'\| streets \| 1000 \| \d\d\.\d ± .* %', page)
  assert 'images/criteria_streets.svg' in page
  line = next(x for x in page.splitlines() if '| self_training, teacher' in x)
  assert line.split(' | ')[3].endswith('), better') and line.endswith(' |  |')
  assert 'streets,"mic, teacher","self_training, teacher",+' in (
    score_tables.tests_csv(tests)
  )
  with pytest.raises(ValueError, match='tables: unknown'):
    reproduce.filled('<!-- tables: unknown -->\n<!-- end -->', makers)


def test_lengths_are_compared(found):
  longer = [r._replace(job=r.job._replace(steps=3200)) for r in found[:3]]
  text = score_tables.longer(rows.Results([*found, *longer]))
  assert text.splitlines()[0] == '| streets | 1000 steps | 3200 steps |'
  assert len(text.splitlines()) == 3  # the others have one length


def test_criteria_of_runs_and_steps(found):
  text = criteria_tables.table(found, rows.length)
  lines = text.splitlines()[2:]
  entropy = [x for x in lines if '| entropy | runs |' in x]
  # In this example the score is a function of the entropy, up to noise.
  assert entropy and ' | 9 | ' in entropy[0]
  assert float(entropy[0].split(' | ')[4]) > 0.9
  steps = [x for x in lines if '| prior | steps of a run, mean of 9 |' in x]
  # Larger prior is worse; here it grows with the score.
  assert steps[0].split(' | ')[3:6] == ['18', '-1.00', '-1.00']
  assert criteria_tables.table([], rows.length) == 'No stored runs yet.\n'


def test_plots_are_the_same_each_time(found):
  for draw in (plots.over_steps, plots.criteria):
    svg = draw(found)
    assert svg.startswith('<?xml') and svg == draw(found)
    assert 'self_training' in svg
    assert not draw([])


def test_committed_tables_are_those_of_the_stored_results():
  """`make tables` writes them; a change by hand is found here."""
  results = rows.Results(records.read_all())
  for name, text in reproduce.outputs(results).items():
    file = reproduce.ROOT / name
    if name.endswith('.svg'):  # other versions of matplotlib draw otherwise
      assert file.is_file(), name
    else:
      assert file.read_text() == text, f'{name}: run `make tables`'


def test_the_plan_is_one_of_configs():
  jobs = list(plan.jobs(plan.PLAN))
  assert len(set(jobs)) == len(jobs)
  assert plan.Job('camvid_to_idd', 'mic', 2, 800) in jobs
  assert plan.Job('camvid_to_idd', 'mic', 2, 3200) in jobs
  assert plan.chosen(['streets'], seeds=(4,))[0].seeds == (4,)
  assert plan.chosen(['streets'], steps=3200) == ()
  assert plan.chosen(['streets'], ('lse',), steps=30) == (
    plan.Row('streets', ('lse',), (0, 1, 2), 30),
  )
  with pytest.raises(ValueError, match='streets/none: expected a config of'):
    list(plan.jobs([plan.Row('streets', ('none',))]))


def test_longer_runs_keep_their_parts():
  config = configs.load('camvid_to_idd/pixmatch')
  assert runs.of_length(config, config.steps) == {}
  assert runs.of_length(config, 3200) == {
    'steps': 3200,
    'method.adapt_from': 800,
  }
  pipa = runs.of_length(configs.load('camvid_to_idd/pipa'), 1600)
  assert pipa['method.patch_contrast.start'] == 2 * (800 // 6)
  assert pipa['data.pair.first_step'] == 2 * (800 // 6)


def test_a_stopped_run_is_one_line(monkeypatch, tmp_path):
  def stopped(*args, **kwargs):
    raise interrupts.Preempted('stopped at step 7, saved')

  monkeypatch.setattr(runs, 'one_run', stopped)
  argv = ['--benchmark=streets', '--configs=source_only', '--seeds=0']
  with pytest.raises(SystemExit, match='^error: stopped at step 7, saved$'):
    adaptation.main([*argv, f'--results={tmp_path}'])


def test_the_harness_stores_each_run_once(monkeypatch, tmp_path, capsys):
  calls = []

  def run(job, *, root, workdir):
    if len(calls) == 1:
      raise OSError('the disk is full')
    calls.append(job)
    return _write_run(workdir / f'{job.config}{job.seed}', job, 0.5)

  monkeypatch.setattr(runs, 'stored_run', run)
  argv = ['--benchmark=streets', '--configs=source_only,mic', '--seeds=1']
  argv += ['--steps=30', f'--workdir={tmp_path}/w', f'--results={tmp_path}/r']
  with pytest.raises(SystemExit):
    adaptation.main(argv)
  adaptation.main([*argv, '--list'])
  out = capsys.readouterr().out
  assert '1 of 2: streets/source_only, 30 steps, seed 1: stored' in out
  assert '2 of 2: streets/mic, 30 steps, seed 1: missing' in out
  second = []

  def again(job, *, root, workdir):
    second.append(job)
    return _write_run(workdir / f'{job.config}{job.seed}', job, 0.5)

  monkeypatch.setattr(runs, 'stored_run', again)
  adaptation.main(argv)
  assert [job.config for job in calls + second] == ['source_only', 'mic']
  with pytest.raises(SystemExit, match='expected a row of PLAN'):
    adaptation.main(['--benchmark=streets', '--steps=7'])
