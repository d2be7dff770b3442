"""Videos: frames of a file, and frames to a file.

Animated GIF and WebP need Pillow alone; other formats need imageio with its
ffmpeg, an extra that is loaded on demand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import fractions
import itertools
import pathlib
import statistics
import tempfile
from types import ModuleType
from typing import Any

from absl import logging
import numpy as np
from PIL import Image
from PIL import ImageSequence

from uda_jax import words

_INSTALL = "pip install 'uda_jax[video]'"
_ANIMATED = ('.gif', '.webp')
_VIDEOS = ('.mp4', '.mov', '.mkv', '.avi', '.webm')
# Milliseconds that times of frames are multiples of, and the least that
# browsers obey: they show a GIF's frames of 10 ms for 100.
_TICKS = {'.gif': (10, 20), '.webp': (1, 11)}
# Milliseconds of a frame that states none, or 0, as browsers show it.
_DEFAULT_TIME = 100
ENDINGS = (*_ANIMATED, *_VIDEOS)
# What ffmpeg writes by default, H.264, a WebM cannot hold.
_ENCODING: dict[str, dict[str, Any]] = {
  '.webm': {
    'codec': 'libvpx-vp9',
    'quality': None,
    'output_params': ['-crf', '24', '-b:v', '0'],
  }
}
# A video that ends before this part of its stated length is worth a line.
_WHOLE = 0.9


def is_input(path: str) -> bool:
  """Returns whether a path is a video or an animation, not pictures."""
  ending = pathlib.Path(path).suffix.lower()
  return ending in _VIDEOS or (ending in _ANIMATED and _frames(path) > 1)


def _frames(path: str) -> int:
  """Returns the number of frames of an image file, 1 of any other file."""
  try:
    with Image.open(path) as image:
      return getattr(image, 'n_frames', 1)
  # The reader of images reports the error.
  except (OSError, SyntaxError, ValueError):
    return 1


def is_output(path: pathlib.Path) -> bool:
  """Returns whether a path names a video to write, not a folder."""
  return path.suffix.lower() in ENDINGS


def _imageio(path: pathlib.Path | str) -> ModuleType:
  try:
    import imageio.v2
    import imageio_ffmpeg  # noqa: F401, needed by imageio
  except ImportError as error:
    raise ValueError(
      f'{path}: videos other than {" and ".join(_ANIMATED)} '
      f'need imageio with ffmpeg: {_INSTALL}'
    ) from error
  return imageio.v2


def read(path: str) -> tuple[float, Iterator[tuple[str, np.ndarray]]]:
  """Opens a video.

  Args:
    path: the file.

  Returns:
    Frames a second, 0 if the file states none, and an iterator of names
    (frame_000000, ...) and pixels [H, W, 3] uint8, upright, transparency
    dropped. Frames that take different times are repeated or left out, so that
    all take the same time and the video its length; those of an animation are
    all given once. A video that ends early is one line in the log.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it cannot be decoded.
  """
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(f'--images: found no video at {path!r}')
  if pathlib.Path(path).suffix.lower() in _ANIMATED:
    return _read_animation(path)
  imageio = _imageio(path)
  try:
    with imageio.get_reader(path, format='FFMPEG') as reader:
      stated = reader.get_meta_data()
    rate = _exact(stated['fps'])
    # Without a rate ffmpeg gives the frames at another one than it states, if
    # they take different times.
    at_rate = ['-r', str(rate)] if rate else []
    reader = imageio.get_reader(path, format='FFMPEG', output_params=at_rate)
  except (OSError, RuntimeError, ValueError, IndexError) as error:
    raise ValueError(
      f'{path}: expected a video, got a file that ffmpeg cannot read'
    ) from error
  least = _WHOLE * stated['duration'] * float(rate)
  return float(rate), _numbered(path, reader, least)


def _exact(fps: float) -> fractions.Fraction:
  """Returns the frames a second that ffmpeg states with two decimals.

  Example:
    >>> _exact(25.0), _exact(29.97), _exact(10.42)
    (Fraction(25, 1), Fraction(30000, 1001), Fraction(521, 50))
  """
  television = fractions.Fraction(1000 * round(fps * 1.001), 1001)
  if round(float(television), 2) == fps:
    return television
  return fractions.Fraction(str(fps))


def _numbered(
  path: str, reader: Any, least: float
) -> Iterator[tuple[str, np.ndarray]]:
  """Yields names and pixels; logs a line if there are fewer than `least`."""
  count = 0
  for pixels in reader:
    yield f'frame_{count:06d}', np.asarray(pixels)
    count += 1
  if count < int(least):
    logging.warning(
      '%s: ends after %s, its stated length is at least %d: it may be '
      'truncated, or its sound is longer than its pictures',
      path,
      words.counted(count, 'frame'),
      int(least),
    )


def _read_animation(
  path: str,
) -> tuple[float, Iterator[tuple[str, np.ndarray]]]:
  """Opens an animated GIF or WebP; results as of `read`."""

  def frames():
    with Image.open(path) as image:
      for i, frame in enumerate(ImageSequence.Iterator(image)):
        yield f'frame_{i:06d}', np.asarray(frame.convert('RGB'))

  try:
    # Frames may take different times: their mean keeps the length.
    return 1000 / statistics.mean(_times(path)), frames()
  # All frames are decoded for their times; Pillow names no file.
  except (OSError, SyntaxError, ValueError) as error:
    raise ValueError(
      f'{path}: cannot be decoded to the end ({error}); the file is truncated '
      'or damaged, fetch it again'
    ) from error


def _times(path: str) -> Iterator[int]:
  """Yields the milliseconds of each frame of an animation."""
  with Image.open(path) as image:
    for frame in ImageSequence.Iterator(image):
      frame.load()  # a WebP states them only then
      yield frame.info.get('duration') or _DEFAULT_TIME


@contextlib.contextmanager
def writer(
  path: pathlib.Path, fps: float
) -> Iterator[Callable[[np.ndarray], None]]:
  """Writes a video; whole or, if anything is raised inside, not at all.

  Without any frame no file is written.

  Args:
    path: the file; its ending is the format. A GIF or WebP holds all frames in
      memory until it is written.
    fps: frames a second.

  Yields:
    `add(pixels)` of a frame [H, W, 3] uint8; all must be of one size.

  Raises:
    ValueError: no frames a second, or more than a GIF or WebP can have; or
      ffmpeg wrote nothing.
  """
  if not fps > 0:
    raise ValueError(
      f'{path}: expected frames a second, which the input does not state; use '
      'such as --fps=25'
    )
  ending = path.suffix.lower()
  animated = ending in _ANIMATED
  if animated:
    _check_fps(path, fps)
  else:
    _imageio(path)  # raises before anything is made
  path.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(
    prefix='.unfinished_', dir=path.parent
  ) as folder:
    unfinished = pathlib.Path(folder) / path.name
    shapes: list[tuple[int, ...]] = []
    if animated:
      with _animation(unfinished, fps) as add:
        yield _of_one_size(path, shapes, add)
    else:
      # Odd sizes are scaled to even ones: most codecs need them.
      with _imageio(path).get_writer(
        unfinished,
        format='FFMPEG',
        fps=fps,
        macro_block_size=2,
        **_ENCODING.get(ending, {}),
      ) as file:
        yield _of_one_size(path, shapes, file.append_data)
    if not shapes:
      return
    # ffmpeg's own exit status is not passed on.
    if not unfinished.exists() or not unfinished.stat().st_size:
      raise ValueError(
        f'{path}: expected a video of {shapes[0][:2]} pixels, ffmpeg wrote '
        'nothing and says why above; use another ending, such as .mp4'
      )
    unfinished.replace(path)


def _check_fps(path: pathlib.Path, fps: float) -> None:
  _, least = _TICKS[path.suffix.lower()]
  most = 1000 // least
  if fps > most:
    raise ValueError(
      f'{path}: expected at most {most} frames a second, as browsers show '
      f'faster animations slowly, got {fps:g}; use --fps={most}, or write .mp4'
    )


@contextlib.contextmanager
def _animation(
  path: pathlib.Path, fps: float
) -> Iterator[Callable[[np.ndarray], None]]:
  frames: list[Image.Image] = []
  yield lambda pixels: frames.append(Image.fromarray(pixels))
  if not frames:
    return
  tick, _ = _TICKS[path.suffix.lower()]
  # Rounded ends of the frames, so that the errors do not add up.
  ends = [round(1000 * i / fps / tick) for i in range(len(frames) + 1)]
  frames[0].save(
    path,
    save_all=True,
    append_images=frames[1:],
    duration=[tick * (end - start) for start, end in itertools.pairwise(ends)],
    loop=0,
  )


def _of_one_size(
  path: pathlib.Path,
  shapes: list[tuple[int, ...]],
  add: Callable[[np.ndarray], None],
) -> Callable[[np.ndarray], None]:
  """Wraps `add`; raises ValueError at the first frame of another size."""

  def checked(pixels: np.ndarray) -> None:
    shapes.append(pixels.shape)
    if shapes[-1] != shapes[0]:
      raise ValueError(
        f'{path}: expected frames of one size, got '
        f'{shapes[0][:2]} and {shapes[-1][:2]}'
      )
    add(pixels)

  return checked
