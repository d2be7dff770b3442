"""Label maps of your own images and videos; `python -m uda_jax.predict`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from uda_jax.predict import network as network_lib


def load(
  workdir: str | os.PathLike,
  which: str = '',
  *,
  size: tuple[int, int] | None = None,
) -> network_lib.Predict:
  """Returns the function from images to label maps of a run's network.

  >>> from uda_jax import predict
  >>> segment = predict.load('runs/first')  # doctest: +SKIP
  >>> label, confidence = segment(images)  # doctest: +SKIP

  `images` are [B, H, W, 3] uint8 of any size, the results [B, H, W] int32 and
  float32. It is compiled for each size at which the network sees images.

  Args:
    workdir: the run's directory, or hf://OWNER/NAME.
    which: 'student', 'teacher' or 'best'; '' = the one that the run reports.
    size: (height, width) at which the network sees images; None: as the run's
      scoring resizes them.

  Raises:
    ValueError, OSError: in one line.
  """
  from uda_jax.data import image_size
  from uda_jax.predict import network
  from uda_jax.runs import restore

  trained = restore.load(os.fspath(workdir), which)
  rule = image_size.seen(trained.config.data)
  if size:
    rule = rule._replace(size=(size[0], size[1]), keep_ratio=False)
  return network.make_predict(trained, rule)


def run(
  workdir: str | os.PathLike,
  images: str | os.PathLike,
  out: str | os.PathLike,
  *,
  progress: bool = True,
  **flags: Any,
) -> None:
  """Segments a folder of images, or a video, as the command does.

  >>> from uda_jax import predict
  >>> predict.run('runs/first', 'photos', 'segmented')  # doctest: +SKIP

  Args:
    workdir: the run's directory, or hf://OWNER/NAME.
    images: a folder, a file, a pattern, or a video.
    out: folder for the pictures, or a video to write.
    progress: whether to log; warnings show in any case.
    **flags: further flags of the command by name: network, size, batch_size,
      ids, confidence, fps, ...

  Raises:
    ValueError, OSError: in one line.
  """
  from uda_jax import calls
  from uda_jax import logs
  from uda_jax.predict import __main__ as command_line
  from uda_jax.runs import progress as progress_lib

  logs.quiet()
  args = calls.arguments(
    command_line.parser(), workdir=workdir, images=images, out=out, **flags
  )
  with progress_lib.log_lines(progress):
    command_line.predict(args)
