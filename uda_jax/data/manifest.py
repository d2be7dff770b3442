"""Manifests: which files a data set consists of, and what is in them.

A data set is prepared once into a folder by a TensorFlow Datasets builder. The
builder writes paths, sizes and class counts; the pixels stay in image files.
Files that are made (labels of train ids) lie in `CACHE_DIR/files`, each written
whole or not at all, so that a start after a kill goes on with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
VERSION = '2.0.0'
_SPLIT = 'images'
_FILES = 'files'


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
    notes: what is unusual about single files, for people.
  """

  name: str
  image_paths: tuple[str, ...]
  label_paths: tuple[str | None, ...]
  heights: np.ndarray
  widths: np.ndarray
  class_pixels: np.ndarray
  class_names: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]
  notes: tuple[str, ...] = ()

  @property
  def labelled(self) -> bool:
    """Whether there are labels."""
    return self.label_paths[0] is not None


class Row(NamedTuple):
  """One image of a data set in the making.

  Attributes:
    image: path, absolute or relative to the folder of made files.
    label: path likewise, '' if there is none.
    height: of the image (and of the label).
    width: of the image.
    class_pixels: [C] int64.
    note: what is unusual about it, '' if nothing is.
  """

  image: str
  label: str
  height: int
  width: int
  class_pixels: np.ndarray
  note: str = ''


class Broken(ValueError):
  """Files of a data set cannot be used.

  Attributes:
    problems: one message for each.
  """

  def __init__(self, problems: Sequence[str]):
    """The message is that of the first problem, and how many there are."""
    self.problems = tuple(problems)
    more = (
      f' (and {len(problems) - 1} more: python -m uda_jax.data.prepare '
      'lists them)'
      if len(problems) > 1
      else ''
    )
    super().__init__(problems[0] + more)


class Recipe(NamedTuple):
  """How to prepare a data set.

  Attributes:
    name: as in `Manifest`.
    class_names: as in `Manifest`.
    palette: as in `Manifest`.
    contents: JSON-able description of everything that decides what the
      prepared folder holds; its hash is part of the folder's name.
    rows: `rows(folder) -> rows`: writes files below `folder`, which all data
      sets share, and returns the rows in order.
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
    self._files = epath.Path(data_dir) / _FILES
    config = tfds.core.BuilderConfig(
      name=folder_name(recipe.name, recipe[:-1]), version=VERSION
    )
    super().__init__(data_dir=data_dir, config=config)

  def _info(self) -> tfds.core.DatasetInfo:
    recipe = self._recipe
    features = tfds.features.FeaturesDict(
      {
        'image': tfds.features.Text(),
        'label': tfds.features.Text(),
        'height': tfds.features.Scalar(np.int32),
        'width': tfds.features.Scalar(np.int32),
        'class_pixels': tfds.features.Tensor(
          shape=(len(recipe.class_names),), dtype=np.int64
        ),
        'note': tfds.features.Text(),
      }
    )
    return tfds.core.DatasetInfo(
      builder=self,
      features=features,
      disable_shuffling=True,
      metadata=tfds.core.MetadataDict(
        name=recipe.name,
        class_names=list(recipe.class_names),
        palette=[list(colour) for colour in recipe.palette],
      ),
    )

  def _split_generators(self, dl_manager):
    return {_SPLIT: self._generate_examples()}

  def _generate_examples(self):
    for number, row in enumerate(self._recipe.rows(self._files)):
      yield number, row._asdict()


def fingerprint(contents: Any) -> str:
  """Returns a short hash of JSON-able contents and the format's version."""
  text = json.dumps([VERSION, contents], sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def folder_name(name: str, contents: Any) -> str:
  """Returns a name for a folder of these contents that people can read."""
  return f'{re.sub("[^a-zA-Z0-9]+", "_", name)}-{fingerprint(contents)}'


def prepare(recipe: Recipe, cache_dir: epath.PathLike) -> Manifest:
  """Prepares a data set unless it is there already, and reads its manifest.

  Args:
    recipe: the data set.
    cache_dir: prepared data sets live below it, in folders named after their
      fingerprints, so that changed data are prepared afresh.

  Returns:
    The manifest. After an error or a kill there is no prepared folder, only
    made files that the next start goes on with.
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
    rows = tfds.as_numpy(
      builder.as_dataset(
        split=_SPLIT,
        shuffle_files=False,
        batch_size=-1,
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
      )
    )
  files = folder.parents[2] / _FILES
  # An absolute path stays as it is when joined.
  paths = lambda name: tuple(
    str(files / path.decode()) if path else None for path in rows[name]
  )
  metadata = builder.info.metadata
  return Manifest(
    name=metadata['name'],
    image_paths=paths('image'),
    label_paths=paths('label'),
    heights=rows['height'],
    widths=rows['width'],
    class_pixels=rows['class_pixels'],
    class_names=tuple(metadata['class_names']),
    palette=tuple(tuple(colour) for colour in metadata['palette']),
    notes=tuple(note.decode() for note in rows['note'] if note),
  )
