"""The distribution: dependencies, contents of the archives, a run of the wheel.

The wheel is built from the sdist, and runs from a folder outside of the
repository: neither a file nor a package of the repository is in reach.
"""

import ast
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile

import numpy as np
from packaging import requirements
from packaging import utils
import pytest

from uda_jax import cli

ROOT = pathlib.Path(__file__).parents[1]
TEMPLATE = ('page.html', 'style.css', 'script.js')
FOLDERS = ('uda_jax', 'configs', 'docs', 'launch')
# What pip prints when it reaches no package index.
NO_NETWORK = re.compile(
  'NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError'
)


def _project():
  return tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


def _names(lines):
  """Normalized distribution names of requirement lines."""
  return {
    utils.canonicalize_name(requirements.Requirement(line).name)
    for line in lines
  }


def _imports(path):
  """Top-level names that a file imports, wherever in the file."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name.split('.')[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield node.module.split('.')[0]


def test_every_imported_package_is_declared():
  project = _project()
  extras = project['optional-dependencies']
  declared = _names(
    project['dependencies']
    + [
      line
      for name in ('train', 'onnx', 'video', 'hub', 'tiff')
      for line in extras[name]
    ]
  )
  installed = importlib.metadata.packages_distributions()
  # An extra that is not installed here.
  absent = ('jax2onnx', 'onnx', 'onnxruntime')
  installed |= {name: [name] for name in absent}
  # [ffmpeg] of imageio brings it.
  installed['imageio_ffmpeg'] = ['imageio']
  imported = {
    name
    for folder in ('uda_jax', 'configs')
    for path in (ROOT / folder).rglob('*.py')
    for name in _imports(path)
  }
  imported -= {'uda_jax', *sys.stdlib_module_names}
  missing = {
    name
    for name in imported
    if not declared & _names(installed.get(name, [name]))
  }
  assert imported >= {'jax', 'flax', 'orbax', 'tensorflow'}
  assert not missing


def _closure(lines):
  """Names of distributions that requirement lines install, recursively."""
  found, waiting = set(), [(line, '') for line in lines]
  while waiting:
    line, extra = waiting.pop()
    requirement = requirements.Requirement(line)
    if requirement.marker and not requirement.marker.evaluate({'extra': extra}):
      continue
    name = utils.canonicalize_name(requirement.name)
    for wanted in ('', *requirement.extras):
      if (name, wanted) not in found:
        found.add((name, wanted))
        waiting += [
          (inner, wanted) for inner in importlib.metadata.requires(name) or ()
        ]
  return {name for name, _ in found}


# Run in a process of its own: argument 1 lists the distributions that count as
# installed, and any other package is as if it were not there.
LIGHT = """
import importlib, importlib.metadata, pkgutil, re, sys

light = set(sys.argv[1].split())
absent = {
  package
  for package, names in importlib.metadata.packages_distributions().items()
  if not light & {re.sub('[-_.]+', '-', name).lower() for name in names}
} - {'uda_jax'}

class Absent:
  def find_spec(self, name, path=None, target=None):
    if name.split('.')[0] in absent:
      raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, Absent())
assert {'tensorflow', 'clu'} <= absent, absent
modules = ['labels', 'pictures', 'pseudo_labels', 'rng', 'types', 'configs']
modules += ['data.streets.render', 'train.round_ranking', 'train.step']
for folder in ('augment', 'losses', 'methods', 'models', 'ops'):
  package = importlib.import_module(f'uda_jax.{folder}')
  modules += [
    name.removeprefix('uda_jax.')
    for _, name, _ in pkgutil.walk_packages(
      package.__path__, f'{package.__name__}.'
    )
    if not name.endswith('__main__')
  ]
for name in modules:
  importlib.import_module(f'uda_jax.{name}')

from uda_jax import configs, losses
import jax.numpy as jnp
print(
  len(modules) > 50,
  losses.cross_entropy(jnp.zeros((1, 2, 2, 4)), jnp.zeros((1, 2, 2), int)),
  configs.load('streets/self_training').steps,
)
"""


def test_the_dependencies_without_extras_are_enough_for_notebooks():
  """Losses, augmentations, networks, methods and configs: no TensorFlow."""
  light = _closure(_project()['dependencies'])
  printed = subprocess.run(
    [sys.executable, '-c', LIGHT, ' '.join(sorted(light))],
    cwd=ROOT,
    text=True,
    capture_output=True,
  )
  assert printed.returncode == 0, printed.stderr
  assert printed.stdout.split() == ['True', '1.3862944', '1000']


def test_the_example_of_the_readme_runs():
  [code] = re.findall(
    '```python\n(.*?)```', (ROOT / 'README.md').read_text(), re.S
  )
  names = {}
  exec(code, names)
  assert names['mask'].shape == (2, 8, 8)
  np.testing.assert_allclose(names['loss'], np.log(2), rtol=1e-5)


def test_a_command_without_the_trainer_names_the_extra(capsys):
  def command(args):
    raise ModuleNotFoundError("No module named 'tensorflow'", name='tensorflow')

  with pytest.raises(SystemExit) as ended:
    cli.run(cli.Parser('uda_jax.main', ''), command, [])
  assert ended.value.code == 1
  assert capsys.readouterr().err == (
    "error: No module named 'tensorflow'; commands need: "
    "pip install 'uda_jax[train]'\n"
  )


@pytest.fixture(scope='module')
def archives(tmp_path_factory):
  """Returns the sdist and the wheel that was built from it."""
  folder = tmp_path_factory.mktemp('package')
  source = folder / 'source'
  source.mkdir()
  for path in ROOT.iterdir():
    if path.is_file():
      shutil.copy(path, source)
  for name in FOLDERS:
    shutil.copytree(
      ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__')
    )
  out = folder / 'dist'
  built = subprocess.run(
    [sys.executable, '-m', 'build', '--outdir', str(out), str(source)],
    env=os.environ | {'PIP_RETRIES': '1'},
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
  )
  if built.returncode and NO_NETWORK.search(built.stdout):
    pytest.skip('pip reaches no package index, and builds need setuptools')
  assert built.returncode == 0, built.stdout
  [sdist], [wheel] = out.glob('*.tar.gz'), out.glob('*.whl')
  return sdist, wheel


@pytest.mark.slow
def test_metadata_is_complete(archives):
  checked = subprocess.run(
    [sys.executable, '-m', 'twine', 'check', '--strict', *map(str, archives)],
    text=True,
    capture_output=True,
  )
  assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
def test_archives_hold_every_module_and_config(archives):
  sdist, wheel = archives
  installed = set(zipfile.ZipFile(wheel).namelist())
  with tarfile.open(sdist) as file:
    packed = {name.split('/', 1)[-1] for name in file.getnames()}
  modules = {
    path.relative_to(ROOT).as_posix()
    for folder in ('uda_jax', 'configs')
    for path in (ROOT / folder).rglob('*.py')
  } | {
    'uda_jax/py.typed',
    *(f'uda_jax/report/template/{name}' for name in TEMPLATE),
  }
  assert modules <= packed
  wanted = {re.sub('^configs/', 'uda_jax/configs/', name) for name in modules}
  assert wanted <= installed
  # A project with a `configs` of its own keeps it.
  assert {name.split('/')[0] for name in installed} == {
    'uda_jax',
    f'{wheel.name.split("-py3")[0]}.dist-info',
  }


@pytest.fixture(scope='module')
def environment(archives, tmp_path_factory):
  """Returns the bin/ of a fresh environment in which the wheel is installed.

  Dependencies come from the environment of the tests: a line in a .pth file
  adds its packages, but not what is installed there in editable form.
  """
  folder = tmp_path_factory.mktemp('environment')
  venv.create(folder)
  python = folder / 'bin' / 'python'
  install = [sys.executable, '-m', 'pip', '--python', str(python), 'install']
  subprocess.run([*install, '--no-deps', '--quiet', archives[1]], check=True)
  [site] = folder.glob('lib/python*/site-packages')
  (site / 'dependencies.pth').write_text(sysconfig.get_paths()['purelib'])
  return folder / 'bin'


def _run(command, cwd):
  outside = os.environ | {'JAX_NUM_CPU_DEVICES': '1'}
  outside.pop('PYTHONPATH', None)
  return subprocess.run(
    list(map(str, command)),
    cwd=cwd,
    env=outside,
    text=True,
    capture_output=True,
  )


@pytest.mark.slow
def test_the_wheel_trains_outside_of_the_repository(environment, tmp_path):
  ran = _run(
    [
      environment / 'uda_jax',
      'train',
      '--config=streets/self_training',
      '--workdir=run',
      '--config.steps=2',
      '--config.data.cache_dir=data',
      '--config.data.crop_size=(32,64)',
      '--config.log.panels_every=0',
      *(
        f'--config.data.{name}.{field}'
        for name in ('source', 'target', 'evaluation')
        for field in ('num_images=4', 'image_size=(32,64)')
      ),
    ],
    tmp_path,
  )
  assert ran.returncode == 0, ran.stdout + ran.stderr
  manifest = json.loads((tmp_path / 'run' / 'manifest.json').read_text())
  assert manifest['config']['steps'] == 2
  results = json.loads((tmp_path / 'run' / 'results.json').read_text())
  assert set(results) >= {'student', 'teacher'}
