"""Links, commands and fields that the pages name are there."""

import importlib.util
import pathlib
import re
import shlex

import pytest

from uda_jax import __main__ as commands
from uda_jax import cli
from uda_jax import configs
from uda_jax.configs import overrides

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(
  str(path.relative_to(ROOT))
  for pattern in ('*.md', 'docs/**/*.md', 'benchmarks/**/*.md')
  for path in ROOT.glob(pattern)
)
_FENCED = re.compile(r'^ *```(\w*)\n(.*?)^ *```', re.S | re.M)
# Values that stand for a user's own: DIR, BENCHMARK/NAME, my/data.py, ...
_PLACEHOLDER = re.compile(r'\b(BENCHMARK|NAME)\b|^my/|\.\.\.')
# A field that a config file adds, and a method of a block.
_NOT_IN_CONFIGS = {'config.model.patch', 'config.method.update'}


def prose(text: str) -> str:
  """Returns a page without its fenced blocks."""
  return _FENCED.sub('', text)


def anchors(text: str) -> set[str]:
  """Returns the anchors of a page: headings as GitHub spells them, and ids."""
  found = set(re.findall(r'<a id="([^"]+)"', text))
  for heading in re.findall(r'^#+ (.*)$', prose(text), re.M):
    heading = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading).lower()
    found.add(re.sub(r'[^\w\- ]', '', heading.strip()).replace(' ', '-'))
  return found


def command_lines(text: str) -> list[str]:
  """Returns the commands of a page, in blocks and in the text."""
  lines = []
  for kind, block in _FENCED.findall(text):
    if kind in ('', 'sh', 'bash'):
      lines += re.sub(r'\\\n', ' ', block).splitlines()
  lines += [
    ' '.join(span.split()) for span in re.findall('`([^`]+)`', prose(text))
  ]
  start = re.compile(r'python -m (uda_jax|benchmarks|tests)\b|^ *uda_jax \w')
  return [line for line in lines if start.search(line)]


def split(line: str) -> tuple[str, list[str]]:
  """Returns the module of a command line, and its flags."""
  words = shlex.split(line, comments=True)
  if '-m' in words:
    module, *flags = words[words.index('-m') + 1 :]
  else:
    module, *flags = words[words.index('uda_jax') :]
  if module == 'uda_jax' and flags and not flags[0].startswith('-'):
    name, *flags = flags
    assert name in commands.COMMANDS, name
    module = commands.COMMANDS[name][0]
  flags = [flag for flag in flags if flag.startswith('--')]
  return module, [flag for flag in flags if '...' not in flag]


def parser_of(module: str) -> cli.Parser | None:
  """Returns the parser of a command; None: not one of the library's."""
  if module == 'uda_jax' or not module.startswith('uda_jax.'):
    return None
  spec = importlib.util.find_spec(module)
  if spec.submodule_search_locations is not None:
    module = f'{module}.__main__'
  return importlib.import_module(module).parser()


def check_command(line: str) -> None:
  """Raises if a command, a flag, a config or a field is not there."""
  module, flags = split(line)
  assert importlib.util.find_spec(module), module
  parser = parser_of(module)
  if parser is None or not flags:
    return
  for action in parser._actions:
    action.required = False
  args = cli.parse(parser, flags)
  config = getattr(args, 'config', None)
  if config and not _PLACEHOLDER.search(config):
    overrides.apply(configs.load(config), args.overrides)


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
  path = ROOT / page
  for link in re.findall(r'\]\(([^)\s]+)\)', prose(path.read_text())):
    if link.startswith('http'):
      continue
    file, _, anchor = link.partition('#')
    other = path.parent / file if file else path
    assert other.exists(), link
    assert not anchor or anchor in anchors(other.read_text()), link


@pytest.mark.parametrize('page', PAGES)
def test_commands_have_these_flags_configs_and_fields(page):
  for line in command_lines((ROOT / page).read_text()):
    try:
      check_command(line)
    except (Exception, SystemExit) as error:
      pytest.fail(f'{line}: {error!r}')


@pytest.fixture(scope='module')
def fields():
  """All fields of all configs, blocks included."""
  found = set()
  for file in (configs.FOLDER / 'resolved').glob('*.txt'):
    for name in re.findall(r'^([a-z][\w.]*) = ', file.read_text(), re.M):
      parts = name.split('.')
      found |= {'.'.join(parts[:n]) for n in range(1, len(parts) + 1)}
  return found


# The changelog names fields of earlier versions, and mistakes.
@pytest.mark.parametrize('page', sorted({*PAGES} - {'CHANGELOG.md'}))
def test_fields_are_in_a_config(page, fields):
  text = (ROOT / page).read_text()
  named = re.findall(r'--(config\.[a-z_0-9.]+)=', text)
  named += re.findall(r'`(config\.[a-z_0-9]+\.[a-z_0-9.]+)', text)
  for name in set(named) - _NOT_IN_CONFIGS:
    # Without the end of a sentence, and of `--config.data.source.files=`.
    assert name.rstrip('.').removeprefix('config.') in fields, name


@pytest.mark.parametrize(
  'line',
  [
    'python -m uda_jax.mian --workdir=DIR',
    'python -m uda_jax.predict --workdir=DIR --imagez=DIR --out=DIR',
    'python -m uda_jax.main --config=streets/no_such --workdir=DIR',
    'python -m uda_jax.main --config=streets/mic --config.step=3',
    'uda_jax no_such_command --out=DIR',
  ],
)
def test_a_wrong_command_is_found(line):
  with pytest.raises((Exception, SystemExit)):
    check_command(line)
