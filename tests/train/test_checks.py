"""Bad directories are named before a run starts; see test_end_to_end too."""

import pytest

from tests import tiny_leaf
from uda_jax.train import checks
from uda_jax.train import loop


def test_a_workdir_that_cannot_be_written_is_named_at_once(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(OSError, match='--workdir: expected a .*file/run'):
    checks.check_workdir(tmp_path / 'file/run')


def test_a_workdir_is_made_and_its_path_is_absolute(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert checks.check_workdir('a/run') == tmp_path / 'a/run'
  assert (tmp_path / 'a/run').is_dir()


def test_a_bucket_is_no_workdir():
  with pytest.raises(ValueError, match='--workdir: .* gs://bucket/run; mount'):
    loop.run(tiny_leaf.get_config(), 'gs://bucket/run')
