"""Archives of predictions as the test servers of benchmarks take them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
import io
import pathlib
import re
from typing import NamedTuple
import zipfile

from absl import logging
import numpy as np
from PIL import Image

from uda_jax import duration
from uda_jax import files
from uda_jax import labels
from uda_jax import words
from uda_jax.data import image_size
from uda_jax.predict import images as images_lib
from uda_jax.predict import network
from uda_jax.runs import compile_cache
from uda_jax.runs import restore


class Server(NamedTuple):
  """Format that a test server accepts.

  Attributes:
    images: number of images of the test split.
    size: (height, width) of each.
    name: pattern of their file names without ending.
    folders: of the archive; a file of each image lies in each of them.
    ids: of the classes in the label maps, 'train' or 'cityscapes' (label ids).
  """

  images: int
  size: tuple[int, int]
  name: str
  folders: tuple[str, ...]
  ids: str


_RGB_ANON = r'.+_frame_\d{6}_rgb_anon'
# As the servers' pages and the submissions of published code have it.
SERVERS = {
  'acdc': Server(2000, (1080, 1920), _RGB_ANON, ('labelTrainIds',), 'train'),
  # The other two are for scores with invalid pixels and by confidence. None is
  # predicted as invalid, so that the first of those scores is the mean IoU.
  'dark_zurich': Server(
    151,
    (1080, 1920),
    _RGB_ANON,
    ('labelTrainIds', 'labelTrainIds_invalid', 'confidence'),
    'train',
  ),
  'cityscapes': Server(
    1525,
    (1024, 2048),
    r'[a-z-]+_\d{6}_\d{6}_leftImg8bit',
    ('results',),
    'cityscapes',
  ),
}


def ids_of(class_names: tuple[str, ...], ids: str) -> np.ndarray:
  """Returns the id of each class in the files of a server, uint8.

  Args:
    class_names: of the network; some or all of Cityscapes'.
    ids: of `Server`.

  Raises:
    ValueError: a class is none of Cityscapes'.
  """
  known = {name: i for i, name in enumerate(labels.CITYSCAPES_CLASSES)}
  foreign = [name for name in class_names if name not in known]
  if foreign:
    raise ValueError(
      f'--workdir: expected a network of the {len(known)} classes of '
      f'Cityscapes, got one with a class {foreign[0]!r}'
    )
  train_ids = [known[name] for name in class_names]
  if ids == 'cityscapes':
    raw = {train: raw for raw, train in labels.CITYSCAPES_IDS.items()}
    train_ids = [raw[i] for i in train_ids]
  return np.array(train_ids, np.uint8)


def find(pattern: str, dataset: str) -> dict[str, pathlib.Path]:
  """Returns file name -> image of the whole test split.

  Args:
    pattern: of the images, see `images.find`.
    dataset: of `SERVERS`.

  Raises:
    ValueError: it is another number of images, or one of another name or size.
  """
  server = SERVERS[dataset]
  found = images_lib.find(pattern)
  expected = f'--images: expected the {server.images} test images of {dataset}'
  wrong = [p for p in found.values() if not re.fullmatch(server.name, p.stem)]
  if wrong:
    raise ValueError(
      f'{expected}, with names like {server.name!r}, got {len(wrong)} of other '
      f'names, such as {wrong[0]}'
    )
  by_name: dict[str, pathlib.Path] = {}
  for path in found.values():
    other = by_name.setdefault(f'{path.stem}.png', path)
    if other != path:
      raise ValueError(f'{expected}, each once, got {other} and {path}')
  if len(by_name) != server.images:
    raise ValueError(f'{expected}, got {len(by_name)} in {pattern}')
  for path in by_name.values():
    size = _size(path)
    if size != server.size:
      raise ValueError(
        f'{expected}, of {server.size[0]} x {server.size[1]} pixels (height x '
        f'width), got {size[0]} x {size[1]}: {path}'
      )
  return by_name


def _size(path: pathlib.Path) -> tuple[int, int]:
  """Returns the (height, width) of an image file from its header."""
  try:
    with Image.open(path) as image:
      return image.height, image.width
  except (OSError, SyntaxError, ValueError) as error:
    raise ValueError(f'{path}: expected an image, got {error}') from error


def _png(pixels: np.ndarray) -> bytes:
  """Encodes [H, W], uint8 or uint16."""
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'PNG')
  return file.getvalue()


def contents(
  server: Server, ids: np.ndarray, label: np.ndarray, confidence: np.ndarray
) -> Iterator[tuple[str, bytes]]:
  """Yields folder and PNG of the files of one image.

  Args:
    server: which takes them.
    ids: of the classes.
    label: [H, W] integer classes.
    confidence: [H, W] float in 0..1; as 16 bits in the file.
  """
  for folder in server.folders:
    if folder == 'confidence':
      yield folder, _png(np.rint(65535 * confidence).astype(np.uint16))
    else:
      yield folder, _png(ids[label])


def write(
  out: pathlib.Path,
  server: Server,
  ids: np.ndarray,
  images: dict[str, pathlib.Path],
  predict: Callable[[pathlib.Path], tuple[np.ndarray, np.ndarray]],
) -> None:
  """Writes the archive whole or not at all.

  Args:
    out: the file.
    server: which takes it.
    ids: of the classes.
    images: of `find`.
    predict: of an image file: label [H, W] and confidence [H, W].
  """
  timer = duration.LineTimer()
  with files.replacing(out) as unfinished:
    # PNGs do not get smaller.
    with zipfile.ZipFile(unfinished, 'w', zipfile.ZIP_STORED) as archive:
      for done, (name, path) in enumerate(images.items()):
        for folder, png in contents(server, ids, *predict(path)):
          archive.writestr(f'{folder}/{name}', png)
        if timer.line_is_due():
          logging.info('%d of %d images', done + 1, len(images))


def run(args: argparse.Namespace) -> None:
  """Writes the archive of the arguments of `uda_jax.predict.submission`."""
  if args.out.suffix != '.zip':
    raise ValueError(f'--out: expected a file .zip, got {args.out}')
  files.check_out(args.out, folder=False)
  server = SERVERS[args.dataset]
  images = find(args.images, args.dataset)
  trained = restore.load(args.workdir, args.network)
  ids = ids_of(trained.class_names, server.ids)
  rule = image_size.seen(trained.config.data)
  predictor = network.make_predict(trained, rule)
  logging.info(
    'the network, the %s, sees images %s',
    restore.described(trained, args.network),
    rule,
  )

  def predict(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    failures: list[str] = []
    for _, pixels in images_lib.read(
      {'': path}, (), failures.append, trained.config.model.in_channels
    ):
      label, confidence = predictor(pixels[None])
      return label[0], confidence[0]
    raise ValueError(f'--images: {failures[0]}; no archive was written')

  with compile_cache.using(trained.config.compile_cache):
    write(args.out, server, ids, images, predict)
  logging.info(
    '%s of %s in %s',
    words.counted(len(images), 'image'),
    args.dataset,
    args.out,
  )
