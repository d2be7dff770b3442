"""The notebooks: their cells run, with the committed output."""

import ast
import base64
import contextlib
import io
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from tests import tiny
from uda_jax import models
from uda_jax.augment import dacs_jitter

PATH = pathlib.Path(__file__).parent.parent / 'notebooks/losses.ipynb'
NUMBER = re.compile(r'\d+(?:\.\d+)?')


def _cells(path=PATH):
  cells = json.loads(path.read_text())['cells']
  return [cell for cell in cells if cell['cell_type'] == 'code']


def _printed(cell):
  return ''.join(
    line
    for output in cell['outputs']
    if output['output_type'] == 'stream'
    for line in output['text']
  )


def _shown(cell):
  """The committed pictures of a cell."""
  return [
    output['data']
    for output in cell['outputs']
    if output['output_type'] != 'stream'
  ]


def _committed(cell):
  """The pixels of a cell's one committed picture."""
  (shown,) = _shown(cell)
  png = base64.b64decode(''.join(shown['image/png']))
  with Image.open(io.BytesIO(png)) as committed:
    return np.asarray(committed.convert('RGB'), int)


@pytest.fixture(scope='module')
def runs():
  """Returns the output of each cell, and the value of its last line."""
  names, results = {}, []
  for number, cell in enumerate(_cells()):
    tree = ast.parse(''.join(cell['source']))
    last = ast.Expression(tree.body.pop().value)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
      exec(compile(tree, f'cell {number}', 'exec'), names)
      value = eval(compile(last, f'cell {number}', 'eval'), names)
    results.append((printed.getvalue(), value))
  return results


def test_the_printed_numbers_are_the_committed_ones(runs):
  losses = 0
  for cell, (printed, _) in zip(_cells(), runs, strict=True):
    committed = _printed(cell)
    assert NUMBER.sub('#', printed) == NUMBER.sub('#', committed)
    for new, old in zip(NUMBER.findall(printed), NUMBER.findall(committed)):
      # Another processor may round the last digit otherwise.
      digit = 10.0 ** -len(old.partition('.')[2])
      assert abs(float(new) - float(old)) < 2.5 * digit, (printed, committed)
    losses += len(re.findall(r'\d\.\d\d\d', committed))
    assert 'nan' not in printed and 'inf' not in printed
  assert losses > 15


def test_every_cell_draws_the_committed_picture(runs):
  for cell, (_, page) in zip(_cells(), runs, strict=True):
    old = _committed(cell)
    new = np.asarray(page.convert('RGB'), int)
    assert new.shape == old.shape
    assert new.std() > 20 and np.abs(new - old).mean() < 4


def test_the_file_is_small_and_holds_pictures_and_print_alone():
  assert PATH.stat().st_size < 600_000
  for cell in _cells():
    assert {output.get('name', 'stdout') for output in cell['outputs']} == {
      'stdout'
    }
    for shown in _shown(cell):
      assert set(shown) == {'image/png', 'text/plain'}


def test_the_cells_import_neither_tensorflow_nor_flax():
  imports = [
    ast.unparse(node)
    for cell in _cells()
    for node in ast.walk(ast.parse(''.join(cell['source'])))
    if isinstance(node, ast.Import | ast.ImportFrom)
  ]
  assert imports
  program = '\n'.join(
    [
      *imports,
      'import sys',
      (
        "print({'tensorflow', 'flax', 'ml_collections', 'IPython'}"
        ' & set(sys.modules))'
      ),
    ]
  )
  printed = subprocess.run(
    [sys.executable, '-c', program],
    cwd=PATH.parent.parent,
    text=True,
    capture_output=True,
    check=True,
  ).stdout
  assert printed.strip() == 'set()'


TWO_FOLDERS = PATH.with_name('two_folders.ipynb')
# Other values of the constants at the top of its cells: the same in seconds.
FEW = {'IMAGES': 4, 'STEPS': 2}


def test_two_folders_to_pictures(tmp_path, monkeypatch):
  """Its cells run, on fewer images and steps and with the smallest network."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setitem(
    models.MODELS,
    'compact',
    lambda config, count: tiny.network(count, config.in_channels),
  )
  monkeypatch.setattr(dacs_jitter, 'strong_augment', lambda key, x: x)
  names = {}
  for number, cell in enumerate(_cells(TWO_FOLDERS)):
    code = ''.join(cell['source'])
    for name, value in FEW.items():
      code = re.sub(f'^{name} = .*', f'{name} = {value}', code, flags=re.M)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
      exec(compile(code, f'cell {number}', 'exec'), names)
    # As many lines as are committed.
    lines = printed.getvalue().count('\n')
    assert lines == _printed(cell).count('\n'), printed.getvalue()
  assert {*names['scores']} == {'source_only', 'self_training'}
  assert names['page'].shape[1] == _committed(cell).shape[1]
  assert sorted(p.name for p in (tmp_path / 'two_folders').iterdir()) == [
    'A',
    'B',
    'B_test',
    'cache',
    'runs',
  ]


def test_the_committed_pictures_of_the_two_folders():
  cells = _cells(TWO_FOLDERS)
  assert TWO_FOLDERS.stat().st_size < 400_000
  for cell in (cells[0], cells[-1]):
    assert _committed(cell).std() > 20
  table = _printed(cells[2])
  means = re.search(r'mean +([\d.]+)% +([\d.]+)%', table)
  # What the picture shows: the network that saw B is better on B.
  assert float(means[2]) > float(means[1])
