"""Manifests: which files a data set consists of, and what is in them.

A data set is prepared once into a folder by a TensorFlow Datasets builder. The
builder writes paths, sizes and class counts; the pixels stay in image files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import contextlib
import hashlib
import io
import json
import re
import tempfile
from typing import Any, NamedTuple

from absl import logging
from etils import epath
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

# A TensorFlow built for GPUs must leave them to JAX, and can only be told so
# before its first operation.
tf.config.set_visible_devices([], 'GPU')

# Part of every fingerprint: raised when the prepared format changes.
VERSION = '1.0.0'
_SPLIT = 'images'


class Manifest(NamedTuple):
  """A data set of N images and C classes, held whole in memory.

  Attributes:
    name: what the data set is called in messages.
    image_paths: N absolute paths of JPEG or PNG files.
    label_paths: N absolute paths of 8-bit grey PNG files that hold train ids
      (255 = ignore), or N times None: the whole set is labelled or none of it.
    heights: [N] int32, image heights in pixels; labels have the same size.
    widths: [N] int32.
    class_pixels: [N, C] int64, label pixels of each class; 0 if unlabelled.
    class_names: C names.
    palette: C colours (red, green, blue), 0..255.
  """

  name: str
  image_paths: tuple[str, ...]
  label_paths: tuple[str | None, ...]
  heights: np.ndarray
  widths: np.ndarray
  class_pixels: np.ndarray
  class_names: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]

  @property
  def labelled(self) -> bool:
    """Whether there are labels."""
    return self.label_paths[0] is not None


class Row(NamedTuple):
  """One image of a data set in the making.

  Attributes:
    image: path, absolute or relative to the prepared folder.
    label: path likewise, '' if there is none.
    height: of the image (and of the label).
    width: of the image.
    class_pixels: [C] int64.
  """

  image: str
  label: str
  height: int
  width: int
  class_pixels: np.ndarray


class Recipe(NamedTuple):
  """How to prepare a data set.

  Attributes:
    name: as in `Manifest`.
    class_names: as in `Manifest`.
    palette: as in `Manifest`.
    contents: JSON-able description of everything that decides what the
      prepared folder holds; its hash is part of the folder's name.
    rows: `rows(folder) -> rows`: writes files into `folder` (a temporary one,
      renamed when all is done) and returns the rows in order.
  """

  name: str
  class_names: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]
  contents: Any
  rows: Callable[[epath.Path], Iterable[Row]]


class Builder(tfds.core.GeneratorBasedBuilder):
  """Writes the manifest of a recipe; `prepare` is the way to call it."""

  name = 'prepared'
  VERSION = tfds.core.Version(VERSION)
  # Else TensorFlow Datasets looks for checksums of downloads beside this file,
  # by means of a package (importlib_resources) that it forgets to require.
  code_path = None

  def __init__(self, recipe: Recipe, *, data_dir: epath.PathLike):
    """Makes a builder below `data_dir`; nothing is read or written yet."""
    self._recipe = recipe
    title = re.sub('[^a-zA-Z0-9]+', '_', recipe.name)
    config = tfds.core.BuilderConfig(name=f'{title}-{fingerprint(recipe)}',
                                     version=VERSION)
    super().__init__(data_dir=data_dir, config=config)

  def _info(self) -> tfds.core.DatasetInfo:
    recipe = self._recipe
    features = tfds.features.FeaturesDict({
        'image': tfds.features.Text(),
        'label': tfds.features.Text(),
        'height': tfds.features.Scalar(np.int32),
        'width': tfds.features.Scalar(np.int32),
        'class_pixels': tfds.features.Tensor(
            shape=(len(recipe.class_names),), dtype=np.int64),
    })
    return tfds.core.DatasetInfo(
        builder=self, features=features, disable_shuffling=True,
        metadata=tfds.core.MetadataDict(
            name=recipe.name, class_names=list(recipe.class_names),
            palette=[list(colour) for colour in recipe.palette]))

  def _split_generators(self, dl_manager):
    # While it prepares, TensorFlow Datasets has pointed `data_path` at a
    # temporary sibling that it renames at the end and removes after an error.
    return {_SPLIT: self._generate_examples(epath.Path(self.data_path))}

  def _generate_examples(self, folder: epath.Path):
    for number, row in enumerate(self._recipe.rows(folder)):
      yield number, row._asdict()


def fingerprint(recipe: Recipe) -> str:
  """Returns a short hash of what the prepared folder would hold."""
  text = json.dumps([VERSION, recipe[:-1]], sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def prepare(recipe: Recipe, cache_dir: epath.PathLike) -> Manifest:
  """Prepares a data set unless it is there already, and reads its manifest.

  Args:
    recipe: the data set.
    cache_dir: prepared data sets live below it, in folders named after their
      fingerprints, so that changed data are prepared afresh.

  Returns:
    The manifest. An error while preparing leaves nothing behind.
  """
  with _quiet():
    builder = Builder(recipe, data_dir=epath.Path(cache_dir).expanduser())
  folder = epath.Path(builder.data_path)
  if not folder.exists():
    logging.info('Preparing %s in %s', recipe.name, folder)
    try:
      with tempfile.TemporaryDirectory() as downloads, _quiet():
        builder.download_and_prepare(download_dir=downloads)
    except OSError:
      # Another run may have prepared the very same data in the meantime.
      if not folder.exists():
        raise
  return read(folder)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps back what TensorFlow Datasets reports; it talks about downloads."""
  tfds.disable_progress_bar()
  own = lambda record: 'tensorflow_datasets' not in record.pathname
  logger = logging.get_absl_logger()
  logger.addFilter(own)
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    logger.removeFilter(own)


def read(folder: epath.PathLike) -> Manifest:
  """Reads the manifest of a prepared folder."""
  folder = epath.Path(folder)
  with _quiet():
    builder = tfds.builder_from_directory(folder)
    rows = tfds.as_numpy(builder.as_dataset(
        split=_SPLIT, shuffle_files=False, batch_size=-1,
        read_config=tfds.ReadConfig(interleave_cycle_length=1)))
  # An absolute path stays as it is when joined.
  paths = lambda name: tuple(
      str(folder / path.decode()) if path else None for path in rows[name])
  metadata = builder.info.metadata
  return Manifest(
      name=metadata['name'],
      image_paths=paths('image'), label_paths=paths('label'),
      heights=rows['height'], widths=rows['width'],
      class_pixels=rows['class_pixels'],
      class_names=tuple(metadata['class_names']),
      palette=tuple(tuple(colour) for colour in metadata['palette']))
