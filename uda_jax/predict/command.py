"""Label maps, colors and overlays of images and videos by a run's network."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
import functools
import itertools
import pathlib
from typing import Any

from absl import logging
import numpy as np

from uda_jax import duration
from uda_jax import files as files_lib
from uda_jax import words
from uda_jax.data import bands
from uda_jax.data import image_size
from uda_jax.data import records
from uda_jax.evaluate import protocol
from uda_jax.evaluate import tta
from uda_jax.predict import images as images_lib
from uda_jax.predict import network
from uda_jax.predict import outputs
from uda_jax.predict import video
from uda_jax.runs import compile_cache
from uda_jax.runs import restore

# Number of image sizes from which a line warns that each one is compiled.
_MANY_SIZES = 4


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


def _open(
  args: argparse.Namespace,
) -> tuple[
  float, Callable[..., Iterable[tuple[str, np.ndarray]]], frozenset[str]
]:
  """Returns frames a second, a function like `images.read`, and the names.

  Of a video, the names of the frames are not known.
  """
  read: Callable[..., Iterable[tuple[str, np.ndarray]]]
  if video.is_input(args.images):
    fps, frames = video.read(args.images)
    read = functools.partial(_frames, args.images, frames)
    return args.fps or fps, read, frozenset()
  files = images_lib.find(args.images)
  if not video.is_output(args.out):
    outputs.check_images(args.out, files.values())
  read = functools.partial(images_lib.read, files)
  return args.fps or 10.0, read, frozenset(files)


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


def _check_out(args: argparse.Namespace) -> None:
  """Raises for an --out that would replace the input, or not have --fps."""
  images = pathlib.Path(args.images)
  files_lib.check_out(args.out, folder=not video.is_output(args.out))
  if video.is_output(args.out):
    if images.is_file() and images.resolve() == args.out.resolve():
      raise ValueError(
        f'--out: expected another file than --images, got {args.out} for both'
      )
    return
  if args.fps:
    raise ValueError(
      '--fps: expected --out to name a video, whose frames it is about '
      f'({", ".join(video.ENDINGS)}), got the folder {args.out}'
    )
  if video.is_input(args.images):
    return
  if images.is_dir() and images.resolve() == args.out.resolve():
    raise ValueError(
      f'--out: expected another folder than --images, got {args.out} for both; '
      f'use a new one, such as {args.out}_segmented'
    )


def _with_window(
  args: argparse.Namespace, trained: restore.Trained
) -> restore.Trained:
  """Returns the network with the sliding window of the flags, if any."""
  if args.stride and not args.window:
    raise ValueError('--stride: expected a --window that moves by it, got none')
  if not args.window:
    return trained
  config = trained.config.copy_and_resolve_references()
  config.eval.window = args.window
  config.eval.stride = args.stride or tuple((n + 1) // 2 for n in args.window)
  protocol.check(config.eval)
  protocol.configured(config.eval)
  logging.info('scoring as in %s', protocol.describe(config.eval))
  return trained._replace(config=config)


def _rule(args: argparse.Namespace, data: Any) -> image_size.Rule:
  """Returns how images are resized: as the run does, or by the flags."""
  rule = image_size.seen(data)
  if args.size and args.multiple:
    raise ValueError('--size, --multiple: expected one of them, got both')
  if args.size:
    rule = rule._replace(size=tuple(args.size), keep_ratio=False)
  return rule._replace(multiple=args.multiple or 1)


def _value_range(data: Any) -> tuple[float, ...]:
  """Returns the `value_range` of the target, () if its sets differ in it."""
  entries = records.entries(data, 'target') if data.target else ()
  found = {tuple(entry.record.get('value_range', ())) for entry in entries}
  return found.pop() if len(found) == 1 else ()


def run(args: argparse.Namespace) -> None:
  """Predicts all images of the arguments of `uda_jax.predict.__main__`.

  Raises:
    ValueError: images cannot be read; raised after the others are predicted.
  """
  _check_out(args)
  failures: list[str] = []
  fps, read, names = _open(args)
  trained = _with_window(args, restore.load(args.workdir, args.network))
  outputs.check_earlier(args, trained, names)
  outputs.check_kinds(args, names)
  data = trained.config.data
  value_range = _value_range(data)
  channels = trained.config.model.in_channels
  images = read(
    args.value_range or value_range, failures.append, channels=channels
  )
  rule = _rule(args, data)
  logging.info(
    'the network, the %s, sees images %s',
    restore.described(trained, args.network),
    rule,
  )
  done = _predict_all(args, trained, rule, fps, images)
  if failures:
    raise ValueError(
      f'--images: {len(failures)} of '
      f'{words.counted(len(failures) + done, "file")} cannot be read, the '
      'others are done:\n  ' + '\n  '.join(failures)
    )
  if not done:
    raise ValueError(f'{args.images}: expected a video with frames, got none')
  views = trained.config.eval
  logging.info(
    '%s in %s (%s)',
    words.counted(done, 'picture'),
    args.out,
    tta.describe(views.scales, views.flip),
  )


def _predict_batch(
  predict: network.Predict, images: np.ndarray, probabilities: bool
) -> list[outputs.Prediction]:
  """Returns the predictions of [B, H, W, N] images."""
  if not probabilities:
    rows = zip(images, *predict(images))
    return [outputs.Prediction(*row) for row in rows]
  found = predict.probabilities(images)
  return [
    outputs.Prediction(image, x.argmax(-1), x.max(-1), x)
    for image, x in zip(images, found)
  ]


def _predict_all(
  args: argparse.Namespace,
  trained: restore.Trained,
  rule: image_size.Rule,
  fps: float,
  images: Iterable[tuple[str, np.ndarray]],
) -> int:
  """Predicts and writes images; returns their number."""
  predict = network.make_predict(trained, rule)
  done, timer = 0, duration.LineTimer()
  sizes: set[image_size.Size] = set()
  with (
    compile_cache.using(trained.config.compile_cache),
    outputs.writer(args, fps, trained) as write_one,
  ):
    for names, pixels in batches(images, args.batch_size):
      size = _compiled_size(predict, pixels.shape[1:3])
      if size not in sizes and len(sizes) == _MANY_SIZES - 1:
        logging.info(
          'images of %d sizes so far: the network is compiled for each; '
          '--multiple=64 shows it them at few sizes, --size=HxW at one, '
          '--window=HxW in windows of one size',
          _MANY_SIZES,
        )
      sizes.add(size)
      # Full batches only, so that few programs are compiled.
      missing = args.batch_size - len(names)
      full = np.pad(pixels, ((0, missing), *((0, 0),) * 3), mode='edge')
      found = _predict_batch(predict, full, args.probabilities)
      if not done:
        outputs.record(args, trained, rule)
      for name, prediction in zip(names, found):
        write_one(name, prediction)
      done += len(names)
      if timer.line_is_due():
        logging.info('%s', words.counted(done, 'image'))
  return done


def _compiled_size(
  predict: network.Predict, size: image_size.Size
) -> image_size.Size:
  """Returns the size of the program that predicts images of a size."""
  seen, window = predict.rule.of(size), predict.how.window
  if window is None or predict.views is not None:
    return seen
  height, width = map(min, seen, window.size)
  return height, width
