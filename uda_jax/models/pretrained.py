"""Initial variables of a network from a weight file or another run.

Two parts of a network may differ from the weights on request: the classifier
(`config.model.new_classifier`) and the first convolution
(`config.model.in_channels`). Both are found by comparing shapes: modules whose
arrays change with the number of classes, or of input channels.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools

import jax
import numpy as np

from uda_jax import types
from uda_jax.models import weights
from uda_jax.models.weights import state_dict

# Paths of modules in `Variables.params` or `batch_stats`.
Modules = frozenset[tuple[str, ...]]
# Returns a network with a number of classes or of input channels.
Make = Callable[[int], types.Network]

RGB = 3


def dependent_modules(
  make: Make, count: int, image_size: tuple[int, int]
) -> Modules:
  """Returns the modules whose arrays depend on the argument of `make`.

  Args:
    make: returns a network; its `init` loads no weights.
    count: an argument of `make`; compared with the next larger one.
    image_size: (height, width) of any image that the network takes.
  """

  def shapes(count: int) -> dict[tuple[str, ...], tuple[int, ...]]:
    init = functools.partial(make(count).init, image_size=image_size)
    tree = jax.eval_shape(lambda key: init(key), jax.random.key(0))
    return {
      tuple(key.key for key in path[1:]): leaf.shape
      for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }

  one, other = shapes(count), shapes(count + 1)
  return frozenset(path[:-1] for path in one if one[path] != other[path])


def extended(kernel: np.ndarray, channels: int) -> np.ndarray:
  """Returns the first convolution of RGB weights for other input channels.

  Channels after the third get the mean kernel of red, green and blue; with
  fewer than three channels, all do. The result is scaled by 3 / channels, so
  that an image with equal channels (gray) has the response that it had as an
  RGB image. One channel gets the sum of the three kernels.

  Args:
    kernel: [out, 3, kh, kw] float.
    channels: number of input channels, 1 or more.

  Returns:
    [out, channels, kh, kw], the same dtype.
  """
  if channels == RGB:
    return kernel
  mean = kernel.astype(np.float64).mean(1, keepdims=True)
  own = kernel if channels > RGB else kernel[:, :0]
  copies = np.repeat(mean, channels - own.shape[1], 1)
  result = np.concatenate([own, copies], 1) * (RGB / channels)
  return result.astype(kernel.dtype)


def without(importer: weights.Importer, modules: Modules) -> weights.Importer:
  """Returns an importer that leaves modules as they are initialized."""

  def choose(tensors):
    chosen, name_of = importer.choose(tensors)
    names = {name_of(path) for path in modules}
    kept = {n: x for n, x in chosen.items() if _module(n) not in names}
    return kept, lambda path: None if path in modules else name_of(path)

  return dataclasses.replace(importer, choose=choose)


def with_channels(
  importer: weights.Importer, modules: Modules, channels: int
) -> weights.Importer:
  """Returns an importer that extends first convolutions, see `extended`.

  Args:
    importer: of a file for RGB images, or for images of `channels` channels.
    modules: the network's first convolutions.
    channels: of the network's input.
  """

  def choose(tensors):
    chosen, name_of = importer.choose(tensors)
    names = {name_of(path) for path in modules}
    changed = {
      n: extended(x, channels)
      for n, x in chosen.items()
      if _module(n) in names and x.ndim == 4 and x.shape[1] == RGB
    }
    return {**chosen, **changed}, name_of

  return dataclasses.replace(importer, choose=choose)


def load(
  importer: weights.Importer,
  variables: types.Variables,
  classifier: Callable[[], Modules],
) -> types.Variables:
  """Returns a network's variables with the tensors of a file put in.

  Args:
    importer: of the file.
    variables: of the network.
    classifier: returns the modules of the classifier, for the error.

  Raises:
    ValueError: the file cannot be read or does not fit. If the classifier
      alone differs, the message names `config.model.new_classifier`.
  """
  try:
    return weights.load(importer, variables)
  except state_dict.MisfitError as error:
    if error.others:
      raise
    _, name_of = weights.choose(importer)
    names = {name_of(path) for path in classifier()}
    if any(_module(name) not in names for name, *_ in error.wrong_shape):
      raise
    name, expected, found = max(error.wrong_shape, key=lambda row: len(row[1]))
    raise ValueError(
      f'{importer.path}: {name}: expected {expected}, got {found}: the file '
      'has a classifier of other classes; config.model.new_classifier=True '
      'loads everything else and starts with a new classifier'
    ) from error


def sources(
  variables: types.Variables, source_of: Callable[[tuple[str, ...]], str]
) -> list[tuple[str, str]]:
  """Returns (parts, source) rows: the modules of each source.

  Args:
    variables: of the network.
    source_of: returns the source of an array's path.

  Returns:
    One row a source; a part is the path of the largest module whose arrays all
    have that source, or of an array; the parts of a row are joined by ', '.
  """
  paths = {
    tuple(key.key for key in path)
    for path, _ in jax.tree_util.tree_leaves_with_path(variables.params)
  }
  rows: dict[str, list[str]] = {}

  def walk(prefix: tuple[str, ...]) -> None:
    below = [path for path in paths if path[: len(prefix)] == prefix]
    found = {source_of(path) for path in below}
    if len(found) == 1:
      name = '.'.join(prefix) or 'all parts'
      rows.setdefault(found.pop(), []).append(name)
      return
    for child in sorted({path[: len(prefix) + 1] for path in below}):
      walk(child)

  walk(())
  return [(', '.join(parts), source) for source, parts in rows.items()]


def _module(name: str) -> str:
  """Returns the module of a tensor's name."""
  return name.rpartition('.')[0]
