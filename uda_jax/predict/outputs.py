"""Files of predictions: label maps, pictures, probabilities, videos."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Set
import contextlib
import io
import pathlib
from typing import NamedTuple

import numpy as np

from uda_jax import files
from uda_jax import galleries
from uda_jax import labels
from uda_jax import pictures
from uda_jax.data import image_size
from uda_jax.evaluate import label_ids
from uda_jax.predict import images as images_lib
from uda_jax.predict import video
from uda_jax.runs import restore


class Prediction(NamedTuple):
  """Prediction of one image.

  Attributes:
    image: [H, W, N] uint8.
    label: [H, W] int32.
    confidence: [H, W] float in 0..1, the probability of the label; None where
      it is not wanted.
    probability: [H, W, C] float in 0..1, likewise.
  """

  image: np.ndarray
  label: np.ndarray
  confidence: np.ndarray | None = None
  probability: np.ndarray | None = None


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
  found: Prediction,
  trained: restore.Trained,
  *,
  ids: np.ndarray,
  confidence: bool,
) -> None:
  """Writes the files of one image, each whole or not at all.

  Args:
    out: the folder; each kind of file has a folder in it.
    name: of the image, without an ending.
    found: its prediction.
    trained: the network, whose palette and classes are shown.
    ids: [C] uint8, the id that stands for each class in the label maps.
    confidence: whether to write the confidences, too.
  """
  palette = trained.palette
  image = pictures.rgb(found.image)
  shown = {
    'ids': ids[found.label],
    'color': pictures.colorize(found.label, palette),
    'overlay': pictures.overlay(image, found.label, palette),
  }
  if confidence:
    assert found.confidence is not None
    shown['confidence'] = np.rint(255 * found.confidence).astype(np.uint8)
  # Not with_suffix, which would cut 'frame.001' to 'frame'.
  if found.probability is not None:
    path = out / 'probabilities' / f'{name}.npz'
    files.write_atomically(path, _npz(found.probability, trained.class_names))
  for kind, pixels in shown.items():
    pictures.write_png(out / kind / f'{name}.png', pixels)


def _npz(probability: np.ndarray, class_names: tuple[str, ...]) -> bytes:
  """Returns the file of [H, W, C] probabilities: float16, packed."""
  file = io.BytesIO()
  np.savez_compressed(
    file,
    probabilities=probability.astype(np.float16),
    classes=np.array(class_names),
  )
  return file.getvalue()


@contextlib.contextmanager
def writer(
  args: argparse.Namespace, fps: float, trained: restore.Trained
) -> Iterator[Callable[[str, Prediction], None]]:
  """Yields f(name, prediction), which writes one image.

  Args:
    args: of `uda_jax.predict.__main__`.
    fps: frames a second of a video.
    trained: the network.
  """
  ids = file_ids(trained.class_names, args.ids)
  if not video.is_output(args.out):
    yield lambda name, found: write(
      args.out, name, found, trained, ids=ids, confidence=args.confidence
    )
    return
  if args.confidence or args.probabilities or args.ids != 'train':
    raise ValueError(
      f'--out={args.out}: a video holds overlays only; for '
      '--confidence and --ids, and for --probabilities, give a folder'
    )
  with video.writer(args.out, fps) as add:
    yield lambda name, found: add(
      pictures.overlay(pictures.rgb(found.image), found.label, trained.palette)
    )


def check_images(out: pathlib.Path, paths: Iterable[pathlib.Path]) -> None:
  """Raises ValueError if pictures of predictions would be written over images.

  Args:
    out: the folder for the predictions.
    paths: of the images.
  """
  written = [(out / kind).resolve() for kind in images_lib.WRITTEN]
  for path in paths:
    if any(map(path.resolve().is_relative_to, written)):
      raise ValueError(
        f'--out: expected a folder whose {", ".join(images_lib.WRITTEN)} are '
        f'free for predictions, got {out} with the image {path}; use a new one'
      )


def check_earlier(
  args: argparse.Namespace, trained: restore.Trained, names: Set[str]
) -> None:
  """Raises if label maps of other ids or classes would stay beside the new.

  One ids.json says what all label maps of a folder hold.

  Args:
    args: of `uda_jax.predict.__main__`.
    trained: the network.
    names: of the images, whose label maps are written anew.
  """
  folder = args.out / 'ids'
  if video.is_output(args.out) or not (folder / label_ids.NAME).is_file():
    return
  old = label_ids.read(folder)
  if old is None or old[:2] == (args.ids, trained.class_names):
    return
  for path in sorted(folder.rglob('*.png')):
    if path.relative_to(folder).as_posix().removesuffix('.png') not in names:
      raise ValueError(
        f'--out: expected a folder without label maps of other classes or ids, '
        f'which would be taken for those of this network (--ids={args.ids}), '
        f'got {path} ({old.ids} ids of {len(old.classes)} classes, '
        f'{label_ids.NAME}); use a new folder'
      )


def check_kinds(args: argparse.Namespace, names: Set[str]) -> None:
  """Raises if files of an earlier prediction would stay beside label maps.

  Its confidence and probabilities would be taken for those of this one.

  Args:
    args: of `uda_jax.predict.__main__`.
    names: of the images; of a video, empty.
  """
  if video.is_output(args.out):
    return
  for kind, ending in (('confidence', '.png'), ('probabilities', '.npz')):
    if getattr(args, kind):
      continue
    folder = args.out / kind
    for path in sorted(folder.rglob(f'*{ending}')):
      name = path.relative_to(folder).as_posix().removesuffix(ending)
      if name in names or not names:
        raise ValueError(
          f'--out: expected a folder without {kind} of an earlier prediction '
          f'of these images, got {path}; give --{kind}, too, which writes it '
          'anew, or use a new folder'
        )


def record(
  args: argparse.Namespace, trained: restore.Trained, rule: image_size.Rule
) -> None:
  """Writes the legend, and ids.json beside the label maps.

  Args:
    args: of `uda_jax.predict.__main__`.
    trained: the network.
    rule: how it sees images.
  """
  if video.is_output(args.out):
    return
  legend = galleries.legend(trained.class_names, trained.palette)
  pictures.write_png(args.out / 'legend' / 'legend.png', legend)
  label_ids.write(
    args.out / 'ids',
    label_ids.Record(
      args.ids,
      trained.class_names,
      str(args.workdir),
      args.network or restore.reported(trained.config),
      str(rule),
      trained.step,
    ),
  )
