"""Who may import what (docs/architecture.md), read from the import statements.

Losses work in a notebook without TensorFlow, methods without a network, data
without a device: a forbidden import is found here, not by a user.
"""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent

MATHS = ('losses', 'augment', 'pseudo_labels', 'metrics', 'teacher',
         'schedules', 'labels', 'rng')
# Room -> (libraries it may import, rooms it may import). A room that is not
# here may import any room, and the libraries that no other room keeps.
ALLOWED = {
    **{room: ({'jax', 'numpy', 'optax'}, set(MATHS)) for room in MATHS},
    'state': ({'jax'}, set()),
    'models': ({'jax', 'numpy', 'flax', 'ml_dtypes'},
               {'models', 'state', 'augment.crops', 'augment.resize'}),
    'methods': ({'jax', 'numpy'}, {*MATHS, 'state', 'methods'}),
    'data': ({'tensorflow', 'tensorflow_datasets', 'numpy', 'PIL', 'etils',
              'absl'}, {'data', 'labels', 'state'}),
    'configs': ({'ml_collections'}, {'configs', 'labels'}),
}
# Library -> the only places that may import it.
KEPT = {
    'tensorflow': ('data',), 'tensorflow_datasets': ('data',),
    'flax': ('models',), 'orbax': ('checkpoint',), 'clu': ('writers',),
}
# Commands inside a room: like `main`, they may import what they drive.
COMMANDS = ('data.prepare',)
# Papers that other papers build on.
BASES = ('methods.self_training', 'methods.two_heads')


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


def _breaches(module, names):
  """Yields what a module of the library imports against the rules."""
  room = module if module in COMMANDS else module.split('.')[0]
  for name in names:
    library = name.split('.')[0]
    if library in ('uda_jax', 'configs'):
      own = name.removeprefix('uda_jax.')
      if room in ALLOWED and not _under(own, ALLOWED[room][1]):
        yield f'{module} imports {name}'
      if (room == 'methods' and own.startswith('methods.')
          and module != 'methods' and not _under(own, (module, *BASES))):
        yield f'{module} imports another paper, {name}'
    elif library not in sys.stdlib_module_names:
      if room in ALLOWED and library not in ALLOWED[room][0]:
        yield f'{module} imports {library}'
      elif library in KEPT and not _under(module, KEPT[library]):
        yield f'{module} imports {library}'


def _modules():
  for folder in ('uda_jax', 'configs'):
    for path in sorted((ROOT / folder).rglob('*.py')):
      parts = path.relative_to(ROOT).with_suffix('').parts
      parts = parts[:-1] if parts[-1] == '__init__' else parts
      yield '.'.join(parts).removeprefix('uda_jax.'), path


def test_nobody_imports_what_is_not_theirs():
  modules = dict(_modules())
  assert {*MATHS, 'models', 'methods', 'data', 'configs'} <= {
      name.split('.')[0] for name in modules}
  found = [breach for module, path in modules.items()
           for breach in _breaches(module, _imports(path))]
  assert not found, '\n'.join(found)


def test_the_feed_from_memory_needs_no_tensorflow():
  path = ROOT / 'uda_jax' / 'data' / 'arrays.py'
  assert not [name for name in _imports(path) if 'tensorflow' in name]


@pytest.mark.parametrize(('module', 'name'), [
    ('losses.segmentation', 'flax.linen'),
    ('losses.segmentation', 'uda_jax.models.layers'),
    ('augment.mixing', 'tensorflow'),
    ('models.layers', 'uda_jax.augment.classmix'),
    ('methods.pipa', 'uda_jax.methods.cluda'),
    ('methods.pipa', 'uda_jax.models'),
    ('train', 'tensorflow'), ('train', 'clu.metric_writers'),
    ('step', 'orbax.checkpoint'), ('data.pipeline', 'jax'),
    ('configs.common', 'uda_jax.evaluate.metrics')])
def test_a_breach_is_seen(module, name):
  assert list(_breaches(module, [name]))


@pytest.mark.parametrize(('module', 'name'), [
    ('methods.pipa', 'uda_jax.methods.self_training'),
    ('methods', 'uda_jax.methods.pixmatch'),
    ('models.layers', 'uda_jax.ops.resize'),
    ('train', 'uda_jax.train.step'), ('losses.segmentation', 'functools')])
def test_what_is_allowed_is_no_breach(module, name):
  assert not list(_breaches(module, [name]))


@pytest.mark.parametrize(('module', 'libraries'), [
    ('losses', {'tensorflow', 'flax', 'ml_collections', 'orbax'}),
    # Seconds of every call, and on a small device not even there.
    ('predict', {'tensorflow'}), ('checks', {'tensorflow', 'orbax'}),
    ('score_files', {'tensorflow', 'flax'})])
def test_what_loads_quickly(module, libraries):
  program = (f'import sys, uda_jax.{module}\n'
             f'print({libraries} & set(sys.modules))')
  printed = subprocess.run([sys.executable, '-c', program], cwd=ROOT,
                           text=True, capture_output=True, check=True).stdout
  assert printed.strip() == 'set()'
