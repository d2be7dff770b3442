"""Label maps, colors and overlays of images and videos by a run's network."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
import contextlib
import functools
import itertools
import pathlib
import time

from absl import logging
import numpy as np

from uda_jax import labels
from uda_jax import pictures
from uda_jax.data import bands
from uda_jax.data import image_size
from uda_jax.evaluate import label_ids
from uda_jax.evaluate import tta
from uda_jax.predict import images as images_lib
from uda_jax.predict import network
from uda_jax.predict import video
from uda_jax.runs import compile_cache
from uda_jax.runs import restore

# Number of image sizes from which a line warns that each one is compiled.
_MANY_SIZES = 4
_SECONDS_BETWEEN_LINES = 5.0


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
    'overlay': pictures.overlay(pictures.rgb(image), label, palette),
  }
  if confidence is not None:
    shown['confidence'] = np.rint(255 * confidence).astype(np.uint8)
  for kind, pixels in shown.items():
    # Not with_suffix, which would cut 'frame.001' to 'frame'.
    pictures.write_png(out / kind / f'{name}.png', pixels)


def _open(
  args: argparse.Namespace,
) -> tuple[float, Callable[..., Iterable[tuple[str, np.ndarray]]]]:
  """Returns frames a second, and a function like `images.read`."""
  if video.is_input(args.images):
    fps, frames = video.read(args.images)
    return args.fps or fps, functools.partial(_frames, args.images, frames)
  files = images_lib.find(args.images)
  return args.fps or 10.0, functools.partial(images_lib.read, files)


def _frames(
  path: str,
  frames: Iterable[tuple[str, np.ndarray]],
  value_range: tuple[float, ...],
  failed: Callable[[str], None],
  channels: int,
) -> Iterable[tuple[str, np.ndarray]]:
  """Returns the frames of a video, like `images.read`; none can fail."""
  del value_range, failed
  if channels != bands.RGB:
    raise ValueError(
      f'--images: expected images of {channels} channels '
      f'(config.model.in_channels of the run), got the video {path}'
    )
  return frames


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
      f'--out={args.out}: a video holds overlays only; for '
      '--confidence and --ids give a folder'
    )
  with video.writer(args.out, fps) as add:
    yield lambda name, image, label, confidence: add(
      pictures.overlay(pictures.rgb(image), label, palette)
    )


def _check_out(args: argparse.Namespace) -> None:
  """Raises if the pictures would be written into the folder of images."""
  if video.is_output(args.out) or video.is_input(args.images):
    return
  images = pathlib.Path(args.images)
  if images.is_dir() and images.resolve() == args.out.resolve():
    raise ValueError(
      f'--out: expected another folder than --images, got {args.out} for both; '
      f'use a new one, such as {args.out}_segmented'
    )


def _record(
  args: argparse.Namespace, trained: restore.Trained, rule: image_size.Rule
) -> None:
  """Writes the legend, and ids.json beside the label maps."""
  if video.is_output(args.out):
    return
  legend = pictures.legend(trained.class_names, trained.palette)
  pictures.write_png(args.out / 'legend' / 'legend.png', legend)
  label_ids.write(
    args.out / 'ids',
    label_ids.Record(
      args.ids,
      trained.class_names,
      str(args.workdir),
      args.network or restore.reported(trained.config),
      str(rule),
    ),
  )


def run(args: argparse.Namespace) -> None:
  """Predicts all images of the arguments of `uda_jax.predict.__main__`.

  Raises:
    ValueError: images cannot be read; raised after the others are predicted.
  """
  _check_out(args)
  failures: list[str] = []
  fps, read = _open(args)
  trained = restore.load(args.workdir, args.network)
  data = trained.config.data
  value_range = tuple(data.target.get('value_range', ()) if data.target else ())
  channels = trained.config.model.in_channels
  images = read(value_range, failures.append, channels=channels)
  rule = image_size.seen(data)
  if args.size:
    rule = rule._replace(size=tuple(args.size), keep_ratio=False)
  logging.info('the network sees images %s', rule)
  done = _predict_all(args, trained, rule, fps, images)
  if failures:
    raise ValueError(
      f'--images: {len(failures)} of {len(failures) + done} files cannot be '
      'read, the others are done:\n  ' + '\n  '.join(failures)
    )
  if not done:
    raise ValueError(f'{args.images}: expected a video with frames, got none')
  views = trained.config.eval
  logging.info(
    '%d pictures in %s (%s)',
    done,
    args.out,
    tta.describe(views.scales, views.flip),
  )


def _predict_all(
  args: argparse.Namespace,
  trained: restore.Trained,
  rule: image_size.Rule,
  fps: float,
  images: Iterable[tuple[str, np.ndarray]],
) -> int:
  """Predicts and writes images; returns their number."""
  predict = network.make_predict(trained, rule)
  done, last, sizes = 0, time.monotonic(), set()
  with (
    compile_cache.using(trained.config.compile_cache),
    _writer(args, fps, trained) as write_one,
  ):
    for names, pixels in batches(images, args.batch_size):
      sizes.add(rule.of(pixels.shape[1:3]))
      if len(sizes) == _MANY_SIZES:
        logging.info(
          'images of %d sizes so far: the network is compiled for each; '
          '--size=HxW shows it all images at one size',
          len(sizes),
        )
      # Full batches only, so that few programs are compiled.
      missing = args.batch_size - len(names)
      label, confidence = predict(
        np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0)), mode='edge')
      )
      if not done:
        _record(args, trained, rule)
      for i, name in enumerate(names):
        write_one(name, pixels[i], label[i], confidence[i])
      done += len(names)
      if time.monotonic() > last + _SECONDS_BETWEEN_LINES:
        last = time.monotonic()
        logging.info('%d images', done)
  return done
