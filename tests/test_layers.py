"""Import rules of the folders (docs/architecture.md), read from the source.

Losses work in a notebook without TensorFlow, methods without a network, data
without a device: a forbidden import is found here, not by a user.
"""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent

MATHS = (
  'ops',
  'losses',
  'augment',
  'pseudo_labels',
  'evaluate.metrics',
  'train.teacher',
  'train.schedules',
  'labels',
  'rng',
)
# Folder or module -> (libraries, folders) that it may import; the longest name
# that fits counts. Others may import any folder below them, and all libraries
# that `KEPT` does not reserve.
ALLOWED = {
  **{folder: ({'jax', 'numpy', 'optax'}, set(MATHS)) for folder in MATHS},
  'ops': ({'jax', 'numpy'}, {'ops', 'labels'}),
  'types': ({'jax', 'numpy'}, set()),
  'files': (set(), set()),
  'models': (
    {'jax', 'numpy', 'flax', 'ml_dtypes'},
    {'models', 'types', 'ops', 'files', 'cli', 'flag_values'},
  ),
  'models.weights.hub': ({'huggingface_hub', 'absl'}, {'models'}),
  'methods': ({'jax', 'numpy'}, {*MATHS, 'types', 'methods'}),
  'data': (
    {
      'tensorflow',
      'tensorflow_datasets',
      'numpy',
      'scipy',
      'PIL',
      'tifffile',
      'etils',
      'absl',
    },
    {
      *('data', 'labels', 'types', 'files', 'cli', 'flag_values', 'duration'),
      *('cores', 'words'),
    },
  ),
  'configs': ({'ml_collections', 'absl'}, {'configs', 'labels', 'cli'}),
}
# Library -> the only places that may import it.
KEPT = {
  'tensorflow': ('data',),
  'tensorflow_datasets': ('data',),
  'flax': ('models',),
  'orbax': ('runs.checkpoint', 'runs.stored'),
  'clu': ('runs.writers',),
  'tifffile': ('data.bands',),
  'tensorboard': ('report.events', 'runs.curves'),
  'matplotlib': ('report.charts',),
  'jinja2': ('report.page',),
  'huggingface_hub': ('models.weights.hub',),
}
# A folder imports folders of lower floors only, none of its own floor; modules
# without a folder count as folders.
FLOORS = (
  {
    'labels',
    'rng',
    'types',
    'files',
    'logs',
    'cores',
    'duration',
    'words',
    'user_code',
    'flag_values',
  },
  {'cli', 'pictures'},
  {'ops', 'pseudo_labels', 'parallel', 'galleries', 'configs', 'calls'},
  {'losses', 'augment', 'models', 'data'},
  {'methods', 'runs'},
  {'evaluate'},
  {'train', 'predict', 'export', 'report'},
  {'adapt'},
  {'main', 'check_cluster', '__main__'},
)
# Commands inside a folder, and what they print: like `main`, they may import
# the modules they call.
COMMANDS = ('data.prepare', 'data.summary')
# Papers that other papers build on.
BASES = (
  'methods.self_training',
  'methods.teacher_labels',
  'methods.aux_head',
)


def _imports(path):
  """Yields the dotted names that a file imports, wherever in the file."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, f'{path}: relative import'
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def _under(name, places):
  return any(name == p or name.startswith(p + '.') for p in places)


def _rules(module):
  """The entry of `ALLOWED` with the longest name that fits, or None."""
  fits = [name for name in ALLOWED if _under(module, (name,))]
  return ALLOWED[max(fits, key=len)] if fits else None


def _breaches(module, names):
  """Yields what a module of the library imports against the rules."""
  rules = None if module in COMMANDS else _rules(module)
  for name in names:
    library = name.split('.')[0]
    if library == 'uda_jax':
      own = name.removeprefix('uda_jax.')
      if rules and not _under(own, rules[1]):
        yield f'{module} imports {name}'
      if (
        _under(module, ('methods',))
        and own.startswith('methods.')
        and module != 'methods'
        and not _under(own, (module, f'{module}_terms', *BASES))
      ):
        yield f'{module} imports another paper, {name}'
    elif library not in sys.stdlib_module_names:
      if rules and library not in rules[0]:
        yield f'{module} imports {library}'
      elif library in KEPT and not _under(module, KEPT[library]):
        yield f'{module} imports {library}'


def _floor(folder):
  """Returns the number of a folder's floor."""
  [floor] = [
    number for number, folders in enumerate(FLOORS) if folder in folders
  ]
  return floor


def _modules():
  for folder in ('uda_jax', 'configs'):
    for path in sorted((ROOT / folder).rglob('*.py')):
      parts = path.relative_to(ROOT).with_suffix('').parts
      parts = parts[:-1] if parts[-1] == '__init__' else parts
      yield '.'.join(parts).removeprefix('uda_jax.'), path


def test_nobody_imports_what_is_not_theirs():
  modules = dict(_modules())
  assert {*ALLOWED} - {'models', 'data', 'configs'} <= set(modules)
  found = [
    breach
    for module, path in modules.items()
    for breach in _breaches(module, _imports(path))
  ]
  assert not found, '\n'.join(found)


def test_folders_import_only_lower_floors():
  """So there are no import circles between folders."""
  found = []
  for module, path in _modules():
    folder = module.split('.')[0]
    if not folder or module in ('uda_jax', *COMMANDS):
      continue
    for name in _imports(path):
      other = name.removeprefix('uda_jax.').split('.')[0]
      if (
        name.startswith('uda_jax.')
        and other != folder
        and (_floor(other) >= _floor(folder))
      ):
        found.append(f'{module} imports {name}')
  assert not found, '\n'.join(found)


def test_modules_import_in_no_circle():
  graph = {
    module: {
      '.'.join(name.removeprefix('uda_jax.').split('.')[:n])
      for name in _imports(path)
      if name.startswith('uda_jax.')
      for n in range(1, 5)
    }
    for module, path in _modules()
  }
  # A package's own __init__ may name its modules; only modules count here.
  graph = {
    module: {
      name
      for name in names
      if name in graph and name != module and not module.startswith(name + '.')
    }
    for module, names in graph.items()
  }
  while free := [module for module, names in graph.items() if not names]:
    for module in free:
      del graph[module]
    for names in graph.values():
      names.difference_update(free)
  assert not graph, f'in a circle, or behind one: {sorted(graph)}'


def test_the_feed_from_memory_needs_no_tensorflow():
  path = ROOT / 'uda_jax' / 'data' / 'arrays.py'
  assert not [name for name in _imports(path) if 'tensorflow' in name]


@pytest.mark.parametrize(
  ('module', 'name'),
  [
    ('losses.segmentation', 'flax.linen'),
    ('losses.segmentation', 'uda_jax.models.layers'),
    ('augment.classmix', 'tensorflow'),
    ('models.layers', 'uda_jax.augment.classmix'),
    ('methods.pipa_pixels', 'uda_jax.methods.cluda'),
    ('methods.pipa_pixels', 'uda_jax.models'),
    ('train.loop', 'tensorflow'),
    ('train.loop', 'clu.metric_writers'),
    ('train.step', 'orbax.checkpoint'),
    ('data.pipeline', 'jax'),
    ('configs.blocks.common', 'uda_jax.evaluate.metrics'),
  ],
)
def test_a_breach_is_seen(module, name):
  assert list(_breaches(module, [name]))


@pytest.mark.parametrize(
  ('module', 'name'),
  [
    ('methods.pipa_pixels', 'uda_jax.methods.self_training'),
    ('methods', 'uda_jax.methods.pixmatch'),
    ('models.layers', 'uda_jax.ops.resize'),
    ('train.loop', 'uda_jax.train.step'),
    ('losses.segmentation', 'functools'),
  ],
)
def test_what_is_allowed_is_no_breach(module, name):
  assert not list(_breaches(module, [name]))


@pytest.mark.parametrize(
  ('module', 'libraries'),
  [
    ('losses', {'tensorflow', 'flax', 'ml_collections', 'orbax'}),
    # Seconds of every call, and on a small device not even there.
    ('predict.command', {'tensorflow'}),
    ('adapt.command', {'tensorflow'}),
    ('train.checks', {'tensorflow', 'orbax', 'huggingface_hub'}),
    ('evaluate.files', {'tensorflow', 'flax'}),
  ],
)
def test_what_loads_quickly(module, libraries):
  program = (
    f'import sys, uda_jax.{module}\nprint({libraries} & set(sys.modules))'
  )
  printed = subprocess.run(
    [sys.executable, '-c', program],
    cwd=ROOT,
    text=True,
    capture_output=True,
    check=True,
  ).stdout
  assert printed.strip() == 'set()'
