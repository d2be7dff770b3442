"""Predictions of a run's network on the images of its target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import pathlib

from absl import logging
from etils import epath
import numpy as np

from uda_jax import duration
from uda_jax import galleries
from uda_jax import pictures
from uda_jax.data import image_files
from uda_jax.data import image_size
from uda_jax.data import listing
from uda_jax.evaluate import label_ids
from uda_jax.predict import network
from uda_jax.predict import outputs
from uda_jax.runs import compile_cache
from uda_jax.runs import restore


def target_images(config, most: int) -> dict[str, pathlib.Path]:
  """Returns name -> file of the target's images, evenly spaced.

  Args:
    config: of a run on folders.
    most: images wanted.
  """
  data = config.data
  found = listing.find(
    epath.Path(data.root), data.target.images, 'target', listing.ENDINGS
  )
  names = list(found.files)
  places = np.linspace(0, len(names) - 1, min(most, len(names))).astype(int)
  return {names[i]: pathlib.Path(found.files[names[i]].path) for i in places}


def write(workdir: pathlib.Path, out: pathlib.Path, most: int) -> int:
  """Writes label maps, colors and overlays, as `uda_jax.predict` does.

  Images that were predicted by an earlier start are left as they are.

  Args:
    workdir: of the run.
    out: the folder.
    most: images to predict.

  Returns:
    The number of images that could not be read; a line names each.
  """
  trained = restore.load(workdir)
  rule = image_size.seen(trained.config.data)
  images = target_images(trained.config, most)
  legend = galleries.legend(trained.class_names, trained.palette)
  pictures.write_png(out / 'legend' / 'legend.png', legend)
  reported = restore.reported(trained.config)
  record = label_ids.Record(
    'train',
    trained.class_names,
    str(workdir),
    reported,
    str(rule),
    trained.step,
  )
  label_ids.write(out / 'ids', record)
  # The overlay of an image is written last.
  left = {
    name: path
    for name, path in images.items()
    if not (out / 'overlay' / f'{name}.png').exists()
  }
  ids = outputs.file_ids(trained.class_names, 'train')
  failed = 0
  for name, pixels, label in predicted(trained, rule, left):
    if label is None:
      failed += 1
      continue
    found = outputs.Prediction(pixels, label)
    outputs.write(out, name, found, trained, ids=ids, confidence=False)
  return failed


def predicted(
  trained: restore.Trained,
  rule: image_size.Rule,
  images: Mapping[str, pathlib.Path],
) -> Iterator[tuple]:
  """Yields name, pixels and label; None for both if it is no image."""
  predict = network.make_predict(trained, rule)
  timer = duration.LineTimer()
  with compile_cache.using(trained.config.compile_cache):
    for number, (name, path) in enumerate(images.items(), 1):
      try:
        pixels = image_files.read_image(
          path,
          value_range=tuple(trained.config.data.target.value_range),
          channels=trained.config.model.in_channels,
          field='config.data.target.value_range',
        )
      except (ValueError, OSError) as error:
        logging.warning('left out: %s', error)
        yield name, None, None
        continue
      label, _ = predict(pixels[None])
      yield name, pixels, label[0]
      if timer.line_is_due():
        left = timer.left(number, len(images))
        logging.info('%d of %d images, ETA %s', number, len(images), left)
