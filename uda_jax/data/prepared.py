"""Prepared data sets: manifests on disk, made once and checked at each start.

A TensorFlow Datasets builder writes paths, sizes and class counts into a
folder; the pixels stay in image files. Files that are made (labels of train
ids, copies) lie in `CACHE_DIR/files`, each written whole or not at all, so that
a start after a kill goes on with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import io
import os
import tempfile
from typing import Any

from absl import logging
from etils import epath
import numpy as np
import tensorflow_datasets as tfds

from uda_jax.data import manifest

_SPLIT = 'images'
_FILES = 'files'


class _Info(tfds.core.DatasetInfo):
  """The facts of a prepared folder, which no bucket has."""

  def initialize_from_bucket(self) -> None:
    """Does nothing: TensorFlow Datasets would leave a temporary folder."""


class _Builder(tfds.core.GeneratorBasedBuilder):
  """Writes the manifest of a recipe; `prepare` is the way to call it."""

  name = 'prepared'
  VERSION = tfds.core.Version(manifest.VERSION)
  # Else TensorFlow Datasets looks for checksums of downloads beside this file,
  # by means of a package (importlib_resources) that it forgets to require.
  code_path = None

  def __init__(self, recipe: manifest.Recipe, *, data_dir: epath.PathLike):
    """Makes a builder below `data_dir`; nothing is read or written yet."""
    self._recipe = recipe
    self._files = files_folder(data_dir)
    config = tfds.core.BuilderConfig(
      name=manifest.folder_name(recipe.name, recipe[:4]),
      version=manifest.VERSION,
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
        'made_bytes': tfds.features.Scalar(np.int64),
        'file': tfds.features.Text(),
        'file_hash': tfds.features.Text(),
      }
    )
    return _Info(
      builder=self,
      features=features,
      disable_shuffling=True,
      metadata=tfds.core.MetadataDict(
        name=recipe.name,
        class_names=list(recipe.class_names),
        palette=[list(color) for color in recipe.palette],
        channels=recipe.channels,
      ),
    )

  def _split_generators(self, dl_manager):
    return {_SPLIT: self._generate_examples()}

  def _generate_examples(self):
    for number, row in enumerate(self._recipe.rows(self._files)):
      # File names are bytes, which need not be UTF-8.
      texts = {
        name: os.fsencode(getattr(row, name))
        for name in ('image', 'label', 'note', 'file', 'file_hash')
      }
      made = _made_bytes(self._files, texts['image'], texts['label'])
      yield number, row._asdict() | texts | {'made_bytes': made}


def _made_bytes(files: epath.Path, *paths: bytes) -> int:
  """Returns the bytes of the files that were made, -1 if one is missing."""
  sizes = [
    manifest.file_size(files / name)
    for name in map(os.fsdecode, paths)
    if name and str(files / name) != name
  ]
  return -1 if -1 in sizes else sum(sizes)


def files_folder(cache_dir: epath.PathLike) -> epath.Path:
  """Returns the folder of the files that are made for all data sets."""
  return epath.Path(cache_dir).expanduser() / _FILES


def prepare(
  recipe: manifest.Recipe, cache_dir: epath.PathLike
) -> manifest.Manifest:
  """Prepares a data set unless it is there already, and reads its manifest.

  What was deleted or damaged since then (scratch disks are purged by age) is
  made again, with a line.

  Args:
    recipe: the data set.
    cache_dir: prepared data sets live below it, in folders named after their
      fingerprints, so that changed data are prepared afresh.

  Returns:
    The manifest. After an error or a kill there is no prepared folder, only
    made files that the next start goes on with.
  """
  _make_folder(cache_dir)
  with _quiet():
    builder = _Builder(recipe, data_dir=epath.Path(cache_dir).expanduser())
  folder = epath.Path(builder.data_path)
  if folder.exists():
    data, damage = _read_and_check(folder)
    if data is not None:
      return data
    logging.warning(
      '%s: %s in the prepared data %s; preparing what is missing again',
      recipe.name,
      damage,
      folder,
    )
    folder.rmtree(missing_ok=True)
    with _quiet():
      builder = _Builder(recipe, data_dir=epath.Path(cache_dir).expanduser())
  logging.info('Preparing %s in %s', recipe.name, folder)
  try:
    with tempfile.TemporaryDirectory() as downloads, _quiet():
      builder.download_and_prepare(download_dir=downloads)
  except OSError:
    # Another run may have prepared the very same data in the meantime.
    if not folder.exists():
      raise
  return read(folder)


def prepare_share(
  recipe: manifest.Recipe, cache_dir: epath.PathLike, index: int, count: int
) -> None:
  """Does a process's part of the work of `prepare`, which comes after all.

  Args:
    recipe: the data set.
    cache_dir: as of `prepare`.
    index: which process this is.
    count: how many there are.
  """
  _make_folder(cache_dir)
  with _quiet():
    builder = _Builder(recipe, data_dir=epath.Path(cache_dir).expanduser())
  if recipe.share and not epath.Path(builder.data_path).exists():
    logging.info('Preparing %s: part %d of %d', recipe.name, index + 1, count)
    recipe.share(files_folder(cache_dir), index, count)


def _make_folder(cache_dir: epath.PathLike) -> None:
  """Makes the folder of prepared data; an error names the config field."""
  try:
    epath.Path(cache_dir).expanduser().mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise ValueError(
      'config.data.cache_dir: expected a folder, or a place to make it, got '
      f'{cache_dir} ({error.strerror or error})'
    ) from error


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


def _read_and_check(
  folder: epath.Path,
) -> tuple[manifest.Manifest | None, str]:
  """Returns the manifest of a prepared folder, or None and what is missing."""
  try:
    builder, rows = _rows(folder)
  # Of deleted or damaged files, TensorFlow Datasets raises nearly anything.
  except Exception as error:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return None, f'the manifest cannot be read ({reason:.80})'
  wrong = _count_missing(_files(folder), rows)
  if wrong:
    return None, f'{wrong} label(s) or copies are missing or damaged'
  return _manifest(folder, builder, rows), ''


def _count_missing(files: epath.Path, rows: Mapping[str, Any]) -> int:
  """Counts the rows of which a made file is missing or has another size."""
  if '://' in str(files):
    # A request to a bucket for each file would take longer than the start.
    return 0
  found = [
    _made_bytes(files, *paths) for paths in zip(rows['image'], rows['label'])
  ]
  # Data prepared before there were sizes: whether the files are there.
  expected = rows.get('made_bytes', np.maximum(found, 0))
  return int((np.array(found) != expected).sum())


def _files(folder: epath.Path) -> epath.Path:
  """Returns the folder of made files that belongs to a prepared folder."""
  return folder.parents[2] / _FILES


def _rows(
  folder: epath.Path,
) -> tuple[tfds.core.DatasetBuilder, Mapping[str, Any]]:
  """Reads all rows of a prepared folder, column by column."""
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
  expected = builder.info.splits[_SPLIT].num_examples
  if len(rows['image']) != expected:
    raise ValueError(f'{len(rows["image"])} of {expected} rows are left')
  return builder, rows


def read(folder: epath.PathLike) -> manifest.Manifest:
  """Reads the manifest of a prepared folder."""
  folder = epath.Path(folder)
  return _manifest(folder, *_rows(folder))


def _manifest(
  folder: epath.Path,
  builder: tfds.core.DatasetBuilder,
  rows: Mapping[str, Any],
) -> manifest.Manifest:
  """Makes the manifest of the rows of a prepared folder."""
  files = _files(folder)
  # An absolute path stays as it is when joined.
  absolute = lambda path: str(files / os.fsdecode(path))
  metadata = builder.info.metadata
  images = tuple(map(absolute, rows['image']))
  # Data prepared by earlier versions do not say what they were made of.
  unknown = [b''] * len(images)
  made_of = map(os.fsdecode, rows.get('file', unknown))
  return manifest.Manifest(
    name=metadata['name'],
    image_paths=images,
    label_paths=tuple(
      absolute(path) if path else None for path in rows['label']
    ),
    heights=rows['height'],
    widths=rows['width'],
    class_pixels=rows['class_pixels'],
    class_names=tuple(metadata['class_names']),
    palette=tuple(tuple(color) for color in metadata['palette']),
    notes=tuple(os.fsdecode(note) for note in rows['note'] if note),
    # Data prepared by earlier versions are RGB.
    channels=metadata.get('channels', 3),
    files=tuple(file or path for file, path in zip(made_of, images)),
    file_hashes=tuple(x.decode() for x in rows.get('file_hash', unknown)),
  )
