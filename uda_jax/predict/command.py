"""Label maps, colours and overlays of images and videos by a run's network."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
import contextlib
import functools
import glob
import itertools
import pathlib
import re

from absl import logging
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from PIL import ImageOps
from PIL import UnidentifiedImageError

from uda_jax import labels
from uda_jax import pictures
from uda_jax.evaluate import inference
from uda_jax.evaluate import tta
from uda_jax.ops import resize
from uda_jax.predict import video
from uda_jax.runs import restore

_ENDINGS = ('.png', '.jpg', '.jpeg', '.webp', '.bmp', '.tif', '.tiff')


def find_images(pattern: str) -> dict[str, pathlib.Path]:
  """Returns NAME -> image file, sorted, frame 2 before frame 10.

  Args:
    pattern: a folder (searched recursively), a file, or a pattern with * and
      ** (recursive). NAME is the path below the folder, without ending.
  """
  folder = pathlib.Path(pattern)
  if folder.is_dir():
    files = [p for p in folder.rglob('*') if p.suffix.lower() in _ENDINGS]
    named = {p.relative_to(folder).with_suffix(''): p for p in files}
  else:
    files = [pathlib.Path(p) for p in glob.glob(pattern, recursive=True)]
    named = {pathlib.Path(p.stem): p for p in files}
  if not files:
    raise FileNotFoundError(
      f'--images: found no image at {pattern!r} (a folder, a file, or a '
      f"pattern such as 'photos/*.jpg'; endings {', '.join(_ENDINGS)})"
    )
  if len(named) < len(files):
    raise ValueError(
      f'--images: expected images of different names, got '
      f'{len(files)} files with {len(named)} names at '
      f'{pattern!r}; give the folder that holds all of them'
    )
  numbered = lambda name: [
    int(part) if part.isdigit() else part for part in re.split('([0-9]+)', name)
  ]
  names = {name.as_posix(): path for name, path in named.items()}
  return {name: names[name] for name in sorted(names, key=numbered)}


def read_image(path: pathlib.Path) -> np.ndarray:
  """Reads an image turned upright (EXIF): [H, W, 3] uint8."""
  try:
    with Image.open(path) as image:
      return np.asarray(ImageOps.exif_transpose(image).convert('RGB'))
  except (UnidentifiedImageError, SyntaxError, OSError) as error:
    raise ValueError(
      f'{path}: expected an image, got a file that cannot be '
      f'read ({error}); remove it or leave it out'
    ) from error


def make_predict(
  trained: restore.Trained, size: tuple[int, int]
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
  """Makes `predict(images) -> (label, confidence)`.

  Args:
    trained: the network.
    size: (height, width) that images are resized to before the network sees
      them; (0, 0) = as they are.

  Returns:
    A function from [B, H, W, 3] uint8 to the classes [B, H, W] int32 and their
    probability [B, H, W] float32 in 0..1, at the size of the images.
  """
  prob = inference.configured_prob(trained.network, trained.config.eval)

  @functools.partial(jax.jit, static_argnums=2)
  def function(variables, images, full):
    if any(size):
      images = resize.bilinear(images.astype(jnp.float32), size)
    probability = prob(variables, images, full)
    return (
      jnp.argmax(probability, -1).astype(jnp.int32),
      probability.max(-1).astype(jnp.float32),
    )

  def predict(images: np.ndarray):
    label, confidence = function(trained.variables, images, images.shape[1:3])
    return np.asarray(label), np.asarray(confidence)

  return predict


def batches(
  images: Iterable[tuple[str, np.ndarray]], batch_size: int
) -> Iterator[tuple[list[str], np.ndarray]]:
  """Yields names and pixels [B, H, W, 3] of images of one size, in order.

  A batch ends where the size changes. Reads no further than it must.
  """

  def chunks():
    for _, same in itertools.groupby(images, lambda item: item[1].shape):
      while chunk := list(itertools.islice(same, batch_size)):
        yield chunk

  for chunk in chunks():
    yield [name for name, _ in chunk], np.stack([pixels for _, pixels in chunk])


def file_ids(names: tuple[str, ...], ids: str) -> np.ndarray:
  """Returns the id that each class gets in the files.

  Args:
    names: of the network's classes.
    ids: 'train' = 0, 1, ...; 'cityscapes' = the label ids of the Cityscapes
      test server.
  """
  if ids == 'train':
    return np.arange(len(names), dtype=np.uint8)
  known = {
    labels.CITYSCAPES_CLASSES[c]: i for i, c in labels.CITYSCAPES_IDS.items()
  }
  foreign = [name for name in names if name not in known]
  if foreign:
    raise ValueError(
      f'--ids=cityscapes: expected Cityscapes classes, got '
      f'{foreign[0]!r}; use --ids=train'
    )
  return np.array([known[name] for name in names], np.uint8)


def overlay(
  image: np.ndarray, label: np.ndarray, palette: pictures.Palette
) -> np.ndarray:
  """Lays the classes' colours over an image [H, W, 3] uint8."""
  color = pictures.colorize(label, palette)
  return ((image.astype(np.uint16) + color) // 2).astype(np.uint8)


def write(
  out: pathlib.Path,
  name: str,
  image: np.ndarray,
  label: np.ndarray,
  confidence: np.ndarray | None,
  ids: np.ndarray,
  palette: pictures.Palette,
) -> None:
  """Writes the pictures of one image, each whole or not at all."""
  shown = {
    'ids': ids[label],
    'color': pictures.colorize(label, palette),
    'overlay': overlay(image, label, palette),
  }
  if confidence is not None:
    shown['confidence'] = np.rint(255 * confidence).astype(np.uint8)
  for kind, pixels in shown.items():
    # Not with_suffix, which would cut 'frame.001' to 'frame'.
    pictures.write_png(out / kind / f'{name}.png', pixels)


def _read(
  args: argparse.Namespace,
) -> tuple[float, Iterable[tuple[str, np.ndarray]]]:
  """Frames a second, and names and pixels of all images."""
  if video.is_input(args.images):
    fps, images = video.read(args.images)
    return args.fps or fps, images
  files = find_images(args.images)
  return args.fps or 10.0, ((n, read_image(p)) for n, p in files.items())


@contextlib.contextmanager
def _writer(
  args: argparse.Namespace, fps: float, trained: restore.Trained
) -> Iterator[Callable[..., None]]:
  """Yields f(name, image, label, confidence), which writes one image."""
  ids, palette = file_ids(trained.class_names, args.ids), trained.palette
  if not video.is_output(args.out):
    yield lambda name, image, label, confidence: write(
      args.out,
      name,
      image,
      label,
      confidence if args.confidence else None,
      ids,
      palette,
    )
    return
  if args.confidence or args.ids != 'train':
    raise ValueError(
      f'--out={args.out}: a video holds overlays alone; for '
      '--confidence and --ids give a folder'
    )
  with video.writer(args.out, fps) as add:
    yield lambda name, image, label, confidence: add(
      overlay(image, label, palette)
    )


def run(args: argparse.Namespace) -> None:
  """Predicts all images of the arguments of `uda_jax.predict.__main__`."""
  fps, images = _read(args)
  trained = restore.load(args.workdir, args.network)
  size = tuple(args.size or trained.config.data.eval_image_size)
  predict = make_predict(trained, size)
  done = 0
  with _writer(args, fps, trained) as write_one:
    for names, pixels in batches(images, args.batch_size):
      # Full batches only, so that few programs are compiled.
      missing = args.batch_size - len(names)
      label, confidence = predict(
        np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0)), mode='edge')
      )
      for i, name in enumerate(names):
        write_one(name, pixels[i], label[i], confidence[i])
      done += len(names)
      logging.info('%d images', done)
    if not done:
      raise ValueError(f'{args.images}: expected a video with frames, got none')
  views = trained.config.eval
  logging.info(
    'pictures in %s (%s)', args.out, tta.describe(views.scales, views.flip)
  )
