"""Bad inputs of every kind: one line each, and nothing half-written stays."""

import re

import pytest

from tests.bad_inputs import configs
from tests.bad_inputs import flags
from tests.bad_inputs import images
from tests.bad_inputs import labels
from tests.bad_inputs import lists
from tests.bad_inputs import runs
from tests.bad_inputs import scores
from tests.bad_inputs import weights

KINDS = (configs, flags, images, labels, lists, runs, scores, weights)
CASES = [(kind, case) for kind in KINDS for case in kind.CASES]
# What a process leaves that is killed while it writes; see `files.replacing`.
HALF_WRITTEN = re.compile(r'^\.[0-9a-f]{32}_|tmp|incomplete|unfinished')


@pytest.mark.parametrize(
  'case',
  [case for _, case in CASES],
  ids=[
    f'{kind.__name__.rpartition(".")[2]}: {case.name}' for kind, case in CASES
  ],
)
def test_one_line(case, tmp_path, capsys, monkeypatch):
  # What names no folder stands here.
  monkeypatch.chdir(tmp_path)
  with pytest.raises((ValueError, OSError, SystemExit)) as stopped:
    case.run(tmp_path)
  line = said(stopped.value, capsys)
  assert '\n' not in line
  assert re.search(case.line, line), line
  left = [path.name for path in tmp_path.rglob('*')]
  assert not [name for name in left if HALF_WRITTEN.search(name)]
  assert not (tmp_path / 'out').exists()
  assert not (tmp_path / 'executed').exists()


def said(error, capsys):
  """Returns what a command would print of an error."""
  if not isinstance(error, SystemExit):
    return f'error: {error}'
  if isinstance(error.code, str):
    assert error.code.startswith('error: ')
    return error.code
  assert error.code == 2
  return capsys.readouterr().err.removesuffix('\n')
