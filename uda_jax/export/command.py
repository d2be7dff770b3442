"""Writes a run's network as a file that runs without this library.

  python -m uda_jax.export --workdir=RUN --out=FOLDER --size=512x1024 [--onnx]

writes `network.stablehlo` (StableHLO as `jax.export` serialises it, for CPU,
CUDA and TPU), with --onnx `network.onnx`, and `network.json`, which describes
them. A file takes RGB pixels [B, H, W, 3] uint8 and gives `ids` [B, H, W] int32
and `logits` [B, H, W, C] float32; the preprocessing, and the window of the
run's evaluation, are inside. Files are compared with the network before they
get their names. See docs/evaluate.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
import pathlib
import tempfile
from typing import Any

import jax
from jax import export as jax_export
import jax.numpy as jnp
import numpy as np

from uda_jax.evaluate import inference
from uda_jax.evaluate import selection
from uda_jax.export import onnx
from uda_jax.export import weights
from uda_jax.models import depthwise
from uda_jax.models.weights import metadata
from uda_jax.runs import restore

Function = Callable[[jax.Array], dict[str, jax.Array]]

_PLATFORMS = ('cpu', 'cuda', 'tpu')
# Least share of equal labels in a file that is worth its name.
_AGREEMENT = 0.999


def make_function(trained: restore.Trained) -> Function:
  """Makes `f(images)` of a network, with the variables inside."""
  logits = inference.make_logits(
    trained.network, window=inference.configured_window(trained.config.eval)
  )

  def function(images: jax.Array) -> dict[str, jax.Array]:
    values = logits(trained.variables, images, images.shape[1:3])
    return {
      'ids': jnp.argmax(values, -1).astype(jnp.int32),
      'logits': values.astype(jnp.float32),
    }

  return function


def to_stablehlo(function: Function, shape: tuple[int | str, ...]) -> bytes:
  """Serialises a function, with the calls that make it portable.

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
  """Measures how far a file is from its network; raises if it is too far.

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


def sample_image(shape: tuple[int, int, int]) -> np.ndarray:
  """Returns patches of random colours with noise, [B, H, W, 3] uint8."""
  random = np.random.Generator(np.random.PCG64(0))
  batch, height, width = shape
  patches = random.integers(0, 224, (batch, -(-height // 8), -(-width // 8), 3))
  image = patches.repeat(8, 1).repeat(8, 2)[:, :height, :width]
  return (image + random.integers(0, 32, image.shape)).astype(np.uint8)


def _size(args: argparse.Namespace, config: Any) -> tuple[int, int]:
  size = args.size or tuple(config.data.eval_image_size)
  if not all(size):
    raise ValueError(
      '--size: expected HEIGHTxWIDTH, as the run has no '
      'evaluation size of its own'
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


def run(args: argparse.Namespace) -> dict[str, Any]:
  """Writes and checks the files; returns what network.json says."""
  if args.onnx:
    onnx.require()
  trained = restore.load(args.workdir, args.network)
  size = _size(args, trained.config)
  function = make_function(trained)
  images = sample_image((args.batch_size or 2, *size))
  expected = jax.device_get(jax.jit(function)(images))
  shape = (args.batch_size or 'batch', *size, 3)
  args.out.mkdir(parents=True, exist_ok=True)
  files = {}
  with tempfile.TemporaryDirectory(prefix='.unfinished_', dir=args.out) as tmp:
    path = pathlib.Path(tmp) / 'network.stablehlo'
    path.write_bytes(_try_stablehlo(function, shape))
    files[path] = compare(
      path.name, run_stablehlo(path, images), expected, 1e-5
    )
    if args.onnx:
      path = pathlib.Path(tmp) / 'network.onnx'
      onnx.write(function, images.shape, path)
      files[path] = compare(path.name, onnx.run(path, images), expected, 1e-4)
    about = _about(trained, args, shape) | {
      'files': {
        path.name: {'sha256': metadata.sha256(path), **facts}
        for path, facts in files.items()
      }
    }
    for path in files:
      path.replace(args.out / path.name)
  files.write_atomically(
    args.out / 'network.json', (json.dumps(about, indent=2) + '\n').encode()
  )
  return about


def _about(
  trained: restore.Trained,
  args: argparse.Namespace,
  shape: tuple[int | str, ...],
) -> dict[str, Any]:
  """What a user of the files must know."""
  lead = list(shape[:3])
  which = args.network or trained.config.eval.network
  return {
    'input': {
      'name': 'images',
      'dtype': 'uint8',
      'shape': list(shape),
      'colors': 'RGB',
    },
    'outputs': {
      'ids': {'dtype': 'int32', 'shape': lead},
      'logits': {
        'dtype': 'float32',
        'shape': [*lead, len(trained.class_names)],
      },
    },
    'classes': trained.class_names,
    'palette': trained.palette,
    'trained': weights.declaration(
      trained.config, which, '', weights.started_from(args.workdir)
    )
    | selection.told(trained.config, which),
    'jax': jax.__version__,
  }


def _height_and_width(text: str) -> tuple[int, int]:
  height, width = map(int, text.split('x'))
  return height, width


def main() -> None:
  """Reads the arguments; an error is one line."""
  parser = argparse.ArgumentParser(
    prog='python -m uda_jax.export',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    '--workdir',
    type=pathlib.Path,
    required=True,
    help='the directory of the run',
  )
  parser.add_argument(
    '--network',
    default='',
    choices=('student', 'teacher', 'best'),
    help='default: the one that the run reports',
  )
  parser.add_argument(
    '--out', type=pathlib.Path, required=True, help='the folder for the files'
  )
  parser.add_argument(
    '--size',
    type=_height_and_width,
    metavar='HxW',
    help="size of the images; default: the run's evaluation size",
  )
  parser.add_argument(
    '--batch_size',
    type=int,
    default=1,
    help='number of images; 0: any (StableHLO alone)',
  )
  parser.add_argument(
    '--onnx', action='store_true', help=f'write ONNX, too ({onnx.INSTALL})'
  )
  args = parser.parse_args()
  try:
    about = run(args)
  except (ValueError, OSError, ImportError) as error:
    raise SystemExit(f'error: {error}') from error
  for name, facts in about['files'].items():
    print(
      f'{args.out / name}: logits within {facts["logit_difference"]:.1e}, '
      f'labels equal on {facts["label_agreement"]:.3%} of the pixels'
    )
