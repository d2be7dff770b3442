"""Rules of the public functions: names, signatures and docstrings."""

import ast
import importlib
import inspect
import pathlib
import re

import pytest

import uda_jax

ROOT = pathlib.Path(uda_jax.__file__).parent
# Folders and modules of functions on arrays.
ARRAYS = (
  'uda_jax/ops',
  'uda_jax/losses',
  'uda_jax/augment',
  'uda_jax/pseudo_labels.py',
)
# Folders whose docstrings are checked for their words.
WORDS = ('uda_jax', 'configs', 'benchmarks')
# Packages whose `__all__` is the public interface.
PACKAGES = ('ops', 'losses', 'augment')
# Such as [B, H, W, C] or [..., 3].
SHAPE = re.compile(r'\[[^\]]*\]')
# A first line is a verb or noun phrase, so it does not start like this.
STARTS = re.compile(
  r'(What|Which|How|Of|Whether|Whatever|Where|Who|When|Why|Says|Tells)\b'
)
BANNED = re.compile(
  r'\b(seam|leaf|rooms?|told|tells?|so many|so often|that are none|of this way'
  r'|whatever|shall|whoever)\b',
  re.IGNORECASE,
)

# One spelling, that of the identifiers.
BRITISH = re.compile(
  r'\b(un)?(labell(ed|ing)|colours?|grey|centred?|neighbours?|behaviour'
  r'|\w*(normalis|optimis|initialis|minimis|maximis|vectoris|synchronis)\w+)\b',
  re.IGNORECASE,
)


def _files(places):
  for place in places:
    path = ROOT.parent / place
    yield from sorted(path.rglob('*.py')) if path.is_dir() else [path]


def _functions():
  """Yields all public functions of `ARRAYS`."""
  for file in _files(ARRAYS):
    parts = file.relative_to(ROOT.parent).with_suffix('').parts
    module = importlib.import_module('.'.join(parts))
    for name, function in inspect.getmembers(module, inspect.isfunction):
      if not name.startswith('_') and function.__module__ == module.__name__:
        yield pytest.param(function, id=f'{module.__name__}.{name}')


FUNCTIONS = list(_functions())


def _takes_arrays(signature):
  """Returns whether a parameter or the result is an array."""
  return 'jax.Array' in str(signature)


@pytest.mark.parametrize('function', FUNCTIONS)
def test_documented_annotated_and_ordered(function):
  signature = inspect.signature(function)
  parameters = list(signature.parameters.values())
  assert signature.return_annotation is not inspect.Signature.empty
  assert all(p.annotation is not p.empty for p in parameters)
  if not _takes_arrays(signature):
    return
  assert SHAPE.search(function.__doc__), 'the docstring names no shape'
  names = [p.name for p in parameters]
  assert 'rng' not in names and 'key' not in names[1:]
  for p in parameters:
    # What has a default is an option, and so are numbers and choices.
    if p.default is not p.empty or p.annotation in ('int', 'str', 'bool'):
      assert p.kind is p.KEYWORD_ONLY, f'{p.name} must be keyword-only'


def test_there_are_functions_to_check():
  assert len(FUNCTIONS) > 60


def _exported():
  """Yields (package, name, object) of every `__all__`."""
  for package in PACKAGES:
    module = importlib.import_module(f'uda_jax.{package}')
    for name in module.__all__:
      yield package, name, getattr(module, name)


def test_exported_names_are_unique_and_documented():
  names = [name for _, name, _ in _exported()]
  assert len(names) == len(set(names)) > 50
  for package, name, value in _exported():
    assert inspect.getdoc(value), f'{package}.{name} has no docstring'
    # A NamedTuple without a docstring gets one that repeats the signature.
    assert not value.__doc__.startswith(f'{name}('), f'{package}.{name}'


def test_exported_names_shadow_no_module():
  for package in PACKAGES:
    modules = {path.stem for path in (ROOT / package).glob('*.py')}
    exported = importlib.import_module(f'uda_jax.{package}')
    for name in modules & set(exported.__all__):
      assert inspect.ismodule(getattr(exported, name)), f'{package}.{name}'


def test_every_public_name_of_a_package_is_listed():
  for package in PACKAGES:
    module = importlib.import_module(f'uda_jax.{package}')
    imported = {
      name
      for name, value in vars(module).items()
      if not name.startswith('_') and not inspect.ismodule(value)
    }
    assert imported <= set(module.__all__), package
    assert module.__all__ == sorted(module.__all__), package


@pytest.mark.parametrize(
  'function',
  [
    p
    for p in FUNCTIONS
    if p.values[0].__name__ in {n for _, n, _ in _exported()}
  ],
)
def test_exported_functions_have_an_example(function):
  assert '>>> ' in function.__doc__


def _docstrings(file):
  """Yields (line, docstring) of a file's module, classes and functions."""
  for node in ast.walk(ast.parse(file.read_text())):
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
      if text := ast.get_docstring(node):
        yield getattr(node, 'lineno', 1), text


def _breaches(text):
  """Yields what is wrong with the words of a docstring."""
  if start := STARTS.match(text):
    yield f'starts with {start[0]!r}'
  if word := BANNED.search(text):
    yield f'says {word[0]!r}'
  if word := BRITISH.search(text):
    yield f'spells {word[0]!r}'


@pytest.mark.parametrize('place', WORDS)
def test_docstrings_start_with_a_verb_or_noun_phrase(place):
  found = [
    f'{file}:{line}: {breach}'
    for file in _files([place])
    for line, text in _docstrings(file)
    for breach in _breaches(text)
  ]
  assert not found, '\n'.join(found)


@pytest.mark.parametrize(
  'text',
  [
    'What is pasted.',
    'Says which pixels.',
    'Returns so many boxes.',
    'Labelled images.',
    'Mean of the normalised vectors.',
  ],
)
def test_a_breach_is_found(text):
  assert list(_breaches(text))


def test_plain_words_are_no_breach():
  assert not list(_breaches('Mask of the pixels whose label is drawn.'))
