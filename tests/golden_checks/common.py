"""Shared parts of the checks: files and cases, tolerances, ignored labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import pathlib
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import tensorflow as tf

from uda_jax import labels
from uda_jax import types
from uda_jax.data import cutting
from uda_jax.data import datasets
from uda_jax.data import domains as domains_lib
from uda_jax.data import examples
from uda_jax.data import manifest
from uda_jax.data import transforms

Difference = tuple[str, np.ndarray, np.ndarray, float, float]

EXACT = (0.0, 0.0)
# Part of the pixels whose label or confidence float32 rounding may change, and
# what that may change in a weight, a loss or a gradient.
FEW, LOOSE = 1e-3, 1e-2


def load(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a file; arrays of floats come in the precision of the process."""
  arrays = dict(np.load(path))
  dtype = jnp.result_type(float)
  return {
    k: v.astype(dtype) if v.dtype.kind == 'f' and v.ndim else v
    for k, v in arrays.items()
  }


def cases(
  arrays: dict[str, np.ndarray], separator: str, last: str
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
  """Yields the cases that have an array called `last`, by their prefix."""
  end = separator + last
  for prefix in sorted(k.removesuffix(end) for k in arrays if k.endswith(end)):
    start = prefix + separator
    yield (
      prefix,
      {
        k.removeprefix(start): v
        for k, v in arrays.items()
        if k.startswith(start)
      },
    )


def tolerance(golden: np.ndarray | float = 1.0) -> tuple[float, float]:
  """The rule of the READMEs, relative to the largest value if below 1.

  Of zeros alone it is the rule as it stands: sums that cancel are not 0.
  """
  atol = 1e-6 if jax.config.jax_enable_x64 else 1e-5
  largest = float(np.max(np.abs(golden), initial=0.0))
  return atol * min(1.0, largest or 1.0), 1e-4


def from_255(label: np.ndarray) -> np.ndarray:
  """Our ignored label as PixMatch's -1."""
  return np.where(np.asarray(label) == labels.IGNORE_LABEL, -1, label)


def to_255(label: np.ndarray) -> np.ndarray:
  """PixMatch's -1 as our ignored label."""
  return np.where(label == -1, labels.IGNORE_LABEL, label)


def train_ids(ids: np.ndarray, table: Mapping[int, int]) -> np.ndarray:
  """Train ids of raw ids; ids that a table lacks are ignored."""
  return np.vectorize(lambda i: table.get(i, labels.IGNORE_LABEL))(ids)


@contextlib.contextmanager
def cityscapes_val(
  config: Any, images: np.ndarray, ids: np.ndarray
) -> Iterator[manifest.Manifest]:
  """The evaluation split of a config for Cityscapes, prepared from its files.

  Args:
    config: of a published run.
    images: [N, H, W, 3] uint8.
    ids: [N, H, W] raw label ids.
  """
  block = config.data.evaluation
  with tempfile.TemporaryDirectory() as folder:
    for number, arrays in enumerate(zip(images, ids)):
      for pattern, pixels in zip((block.images, block.labels), arrays):
        name = pattern.replace('*/*', f'town/town_{number:06d}_000019')
        path = pathlib.Path(folder, block.root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    yield datasets.load(
      block,
      root=folder,
      cache_dir=f'{folder}/cache',
      field='config.data.evaluation',
      labels=True,
    )


def inside_margins(
  size: tuple[int, ...], margins: tuple[int, ...]
) -> np.ndarray:
  """The valid mask [H, W] of a whole image, as the pipeline computes it."""
  size = np.array(size)
  window = cutting.Window(np.zeros_like(size), size, size)
  return transforms.valid_mask(window, margins, size).numpy()


def training_examples(
  config: Any, part: str, image: np.ndarray, ids: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """What training reads of files: an example of the source, and the target.

  Args:
    config: of a published run.
    part: the record of `config.data` that the label ids are of.
    image: [H, W, 3] uint8.
    ids: [H, W] raw label ids.
  """
  record = config.data[part].copy_and_resolve_references()
  record.update(
    root='',
    images='image/*.png',
    labels='label/*.png',
    label_channel=-1,
    published_images=0,
    published_size=(0, 0),
  )
  with record.ignore_type():  # patterns or the name of a list
    record.files = ()
  with tempfile.TemporaryDirectory() as folder:
    for name, pixels in (('image', image), ('label', ids)):
      path = pathlib.Path(folder, name, '0.png')
      path.parent.mkdir()
      Image.fromarray(pixels.astype(np.uint8)).save(path)
    data = datasets.load(
      record,
      root=folder,
      cache_dir=f'{folder}/cache',
      field=f'config.data.{part}',
      labels=True,
    )
    source, target = (
      {
        name: x.numpy()
        for name, x in examples.reader(domain, 0)(
          tf.constant(0, tf.int64)
        ).items()
      }
      for domain in domains_lib.domains(config.data, data, data)
    )
  return source, target


def keeping_panels(
  method: types.Method, panels: dict[str, np.ndarray]
) -> types.Method:
  """The method, which writes its panels to `panels` at every step.

  `step.make_panels` would trace and compile its passes once more.
  """

  def loss(*args, **kwargs):
    losses = method.loss(*args, **kwargs)
    jax.debug.callback(panels.update, losses.panels)
    return losses

  return method._replace(loss=loss)
