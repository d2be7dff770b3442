"""StableHLO and ONNX files of a run's network, each compared with it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import pathlib
import tempfile
from typing import Any

import jax
from jax import export as jax_export
import jax.numpy as jnp
import numpy as np

from uda_jax import files
from uda_jax import types
from uda_jax.data import image_size
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.evaluate import tta
from uda_jax.export import description
from uda_jax.export import onnx
from uda_jax.models import depthwise
from uda_jax.models.weights import metadata
from uda_jax.runs import restore

Function = Callable[[jax.Array], dict[str, jax.Array]]

_ONNX = 'network.onnx'
_PLATFORMS = ('cpu', 'cuda', 'tpu')
# Minimum fraction of equal labels; a file below is not written.
_AGREEMENT = 0.999
# Below it, the logarithm of a probability is that of this.
_LEAST_PROBABILITY = 1e-30


def make_function(trained: restore.Trained) -> Function:
  """Makes `f(images)` of a network, with the variables inside.

  It enlarges as the run's evaluation does, to the size of the images. Where
  probabilities are enlarged, their logarithms are the logits: softmax gives
  them back. Where scoring enlarges in one step, `grid` are the logits before
  it, from which a photo of any size gets its labels in one step, too.
  """
  how = protocol.configured(trained.config.eval).without_views()
  output = inference.make_output(trained.network, how)

  def logits(values: jax.Array) -> jax.Array:
    if how.gives_probabilities:
      values = jnp.log(jnp.maximum(values, _LEAST_PROBABILITY))
    return values.astype(jnp.float32)

  def function(images: jax.Array) -> dict[str, jax.Array]:
    grid = output(trained.variables, images)
    height, width = images.shape[1:3]
    full = inference.enlarge(grid, (height, width), how)
    found = {
      'ids': jnp.argmax(full, -1).astype(jnp.int32),
      'logits': logits(full),
    }
    return found | ({'grid': logits(grid)} if how.one_step else {})

  return function


def to_stablehlo(function: Function, shape: tuple[int | str, ...]) -> bytes:
  """Serializes a function for all platforms.

  Args:
    function: from one uint8 array.
    shape: of the array; a size may be a name, which stands for any number.
  """
  symbolic = jax_export.symbolic_shape(', '.join(map(str, shape)))
  # A new function, so that nothing that was traced before is reused.
  fresh = jax.jit(lambda images: function(images))
  with depthwise.traced_as('by_platform'):
    exported = jax_export.export(fresh, platforms=_PLATFORMS)(
      jax.ShapeDtypeStruct(symbolic, jnp.uint8)
    )
  return bytes(exported.serialize())


def run_stablehlo(
  path: pathlib.Path, images: np.ndarray
) -> dict[str, np.ndarray]:
  """Runs a file of `to_stablehlo`."""
  exported = jax_export.deserialize(bytearray(path.read_bytes()))
  return jax.device_get(exported.call(images))


def compare(
  name: str,
  found: dict[str, np.ndarray],
  expected: dict[str, np.ndarray],
  limit: float,
) -> dict[str, float]:
  """Measures the difference of a file and its network; raises above `limit`.

  Args:
    name: of the file, for messages.
    found: `ids` and `logits` of the file.
    expected: those of the network.
    limit: of the difference of logits, relative to the largest one if that is
      above 1.
  """
  scale = max(1.0, float(np.abs(expected['logits']).max()))
  error = float(np.abs(found['logits'] - expected['logits']).max()) / scale
  same = float((found['ids'] == expected['ids']).mean())
  if not (error <= limit and same >= _AGREEMENT):
    raise ValueError(
      f'{name}: expected the logits of the network up to {limit:g} and its '
      f'labels on {_AGREEMENT:.1%} of the pixels, got a difference of '
      f'{error:.2g} and {same:.2%}; the file was not written'
    )
  return {'logit_difference': error, 'label_agreement': same}


def sample_image(shape: tuple[int, int, int, int]) -> np.ndarray:
  """Returns patches of random colors with noise, [B, H, W, N] uint8."""
  random = np.random.Generator(np.random.PCG64(0))
  batch, height, width, channels = shape
  patches = random.integers(
    0, 224, (batch, -(-height // 8), -(-width // 8), channels)
  )
  image = patches.repeat(8, 1).repeat(8, 2)[:, :height, :width]
  return (image + random.integers(0, 32, image.shape)).astype(np.uint8)


def _size(args: argparse.Namespace, config: types.Config) -> tuple[int, int]:
  size = args.size or image_size.seen(config.data).size
  if not all(size):
    raise ValueError(
      '--size: expected HEIGHTxWIDTH such as 512x1024, got none; the run sees '
      'images at their own size (config.data.eval_image_size)'
    )
  return size


def _try_stablehlo(function: Function, shape: tuple[int | str, ...]) -> bytes:
  try:
    return to_stablehlo(function, shape)
  except Exception as error:  # JAX has many kinds.
    if isinstance(shape[0], int):
      raise
    raise ValueError(
      '--batch_size=0: expected a network that any number of '
      'images can be exported for, got one that needs a fixed '
      f'number ({error!s:.200})'
    ) from error


def _check(args: argparse.Namespace) -> None:
  """Raises ValueError for flags, or files in the folder, that do not fit."""
  if args.onnx and not args.batch_size:
    raise ValueError(
      '--batch_size: expected 1 or more with --onnx, whose file takes a fixed '
      'number of images, got 0'
    )
  if args.onnx:
    onnx.require()
  files.check_out(args.out, folder=True)
  description.check_folder(args.out)
  if not args.onnx and (args.out / _ONNX).exists():
    raise ValueError(
      f'--out: expected a folder without {_ONNX} of an earlier export, which '
      f'network.json beside it would describe wrongly, got {args.out}; export '
      'with --onnx, too, remove that file, or use a new folder'
    )


def run(args: argparse.Namespace) -> list[str]:
  """Writes and checks the files.

  Args:
    args: of `uda_jax.export.__main__`: `workdir`, `network`, `out`, `size`,
      `batch_size`, `onnx`.

  Returns:
    Lines on what was written.
  """
  _check(args)
  trained = restore.load(args.workdir, args.network)
  size = _size(args, trained.config)
  function = make_function(trained)
  channels = trained.config.model.in_channels
  images = sample_image((args.batch_size or 2, *size, channels))
  expected = jax.device_get(jax.jit(function)(images))
  shape = (args.batch_size or 'batch', *size, channels)
  args.out.mkdir(parents=True, exist_ok=True)
  written: dict[pathlib.Path, dict[str, float]] = {}
  with tempfile.TemporaryDirectory(prefix='.unfinished_', dir=args.out) as tmp:
    path = pathlib.Path(tmp) / 'network.stablehlo'
    path.write_bytes(_try_stablehlo(function, shape))
    written[path] = compare(
      path.name, run_stablehlo(path, images), expected, 1e-5
    )
    which = args.network or restore.reported(trained.config)
    grid = expected['grid'].shape[1:3] if 'grid' in expected else ()
    about = description.about(trained, which, args.workdir, shape, grid)
    if args.onnx:
      path = pathlib.Path(tmp) / _ONNX
      names = tuple(expected)
      facts = description.metadata(about)
      onnx.write(function, images.shape, path, facts, names)
      written[path] = compare(path.name, onnx.run(path, images), expected, 1e-4)
    about |= {
      'files': {
        path.name: {'sha256': metadata.sha256(path), **compared}
        for path, compared in written.items()
      }
    }
    for path in written:
      path.replace(args.out / path.name)
  beside = {
    'network.json': files.to_json(about),
    'README.md': description.readme(about).encode(),
    'segment.py': description.segment_source(),
  }
  for name, content in beside.items():
    files.write_atomically(args.out / name, content)
  return _lines(about, args.out)


def _lines(about: dict[str, Any], out: pathlib.Path) -> list[str]:
  """Returns the lines that the command prints on the files."""
  lines = [
    f'{out / name}: logits within {facts["logit_difference"]:.1e}, '
    f'labels equal on {facts["label_agreement"]:.3%} of the pixels'
    for name, facts in about['files'].items()
  ]
  views = about['test_time_augmentation']
  if tta.is_used(views['scales'], views['flip']):
    lines.append(
      f"{out}: the run's evaluation averages over "
      f'{tta.describe(views["scales"], views["flip"])}; the files make one '
      'pass over the image as it is'
    )
  lines.append(f'{out / "README.md"}: code that runs them without this library')
  return lines
