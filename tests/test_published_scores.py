"""The table of published numbers is complete and agrees with the configs."""

import re

from benchmarks import published_scores
from uda_jax import configs

RUNS = {
  f'{benchmark}/{name}': run
  for benchmark, runs in published_scores.RUNS.items()
  for name, run in runs.items()
}


def test_every_published_config_has_a_line():
  published = {
    name
    for name in configs.paths()
    if name.split('/')[0] in published_scores.RUNS
  }
  assert set(RUNS) == published


def test_the_page_is_that_of_the_table_and_the_configs():
  assert published_scores.PAGE.read_text() == published_scores.page(), (
    'run `python -m benchmarks.published_scores --write`'
  )


def test_numbers_belong_to_the_released_code():
  for name, run in RUNS.items():
    # Where there are two configs, the released code made the number.
    assert not (run.score and f'{name}_released' in RUNS), name
    assert run.score or run.users, name
    assert run.score or not name.endswith('_released'), name


def test_the_docstrings_of_configs_state_the_same_number():
  found = 0
  for name, run in RUNS.items():
    text = configs.paths()[name].read_text()
    for number in re.findall(r'the paper: ([\d.]+)', text):
      assert run.score.startswith(number), name
      found += 1
  assert found > 10
