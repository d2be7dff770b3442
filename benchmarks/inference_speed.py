"""Evaluation and prediction beside a plain PyTorch loop; one JSON line each.

  python -m benchmarks.inference_speed --cache_dir=DIR

The network is DeepLab-v2 on ResNet-101 with the same random weights in both.
'evaluate': images of 1024 x 2048 in memory; a forward pass, its enlargement and
the counts of true and predicted classes. 'predict': a folder of PNG files of
1024 x 2048, which the network sees at 512 x 1024; the label map, its colors and
an overlay are written as PNG files. The two take turns, image by image. Needs
PyTorch.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
import torch

from benchmarks import street_files
from benchmarks import torch_deeplab
from uda_jax import cli
from uda_jax import pictures
from uda_jax import predict as predict_lib
from uda_jax.evaluate import counts
from uda_jax.evaluate import inference
from uda_jax.models import preprocessing
from uda_jax.models.weights import state_dict
from uda_jax.runs import restore

_CONFIG = pathlib.Path(__file__).with_name('small_deeplab.py')
_SEEN = (512, 1024)


class Batch(NamedTuple):
  """A batch that `counts.count_images` reads."""

  image: np.ndarray
  label: np.ndarray
  index: np.ndarray  # type: ignore[assignment]  # hides tuple.index
  valid: np.ndarray


def trained(folder: pathlib.Path) -> restore.Trained:
  """Returns the network of a run of one step, made if it is missing."""
  run = folder / 'deeplab'
  if not (run / 'results.json').exists():
    command = [sys.executable, '-m', 'uda_jax.main', f'--config={_CONFIG}']
    subprocess.run([*command, f'--workdir={run}'], check=True)
  return restore.load(run)


def torch_network(network: restore.Trained) -> torch_deeplab.DeepLabV2:
  """Returns the same network, with the same weights."""
  result = torch_deeplab.DeepLabV2(len(network.class_names))
  tensors = state_dict.export(network.variables)
  result.load_state_dict(
    {name: torch.from_numpy(np.array(x)) for name, x in tensors.items()},
    # Counts of batches, which nothing reads.
    strict=False,
  )
  return result.eval()


def _input(pixels: np.ndarray) -> torch.Tensor:
  """Returns [1, 3, H, W] for [H, W, 3] RGB pixels."""
  bgr = torch.from_numpy(pixels[..., ::-1].astype(np.float32))
  return (bgr - torch.tensor(preprocessing.CAFFE.mean)).permute(2, 0, 1)[None]


def in_turns(
  ours: Callable[[int], Any], other: Callable[[int], Any], count: int
) -> dict[str, Any]:
  """Times two functions of a number, in turns; the first call counts nowhere.

  Args:
    ours: this library's.
    other: PyTorch's.
    count: calls of each that are timed.

  Returns:
    Medians of the seconds, and of how many times as long the other took, with
    its range.
  """
  seconds: list[list[float]] = []
  for number in range(count + 1):
    seconds.append([])
    for function in (ours, other):
      begin = time.perf_counter()
      function(number)
      seconds[-1].append(time.perf_counter() - begin)
  timed = np.array(seconds[1:])
  ratios = sorted(timed[:, 1] / timed[:, 0])
  return {
    'ours_seconds': round(float(np.median(timed[:, 0])), 2),
    'torch_seconds': round(float(np.median(timed[:, 1])), 2),
    'torch_times_as_long': [
      round(float(f(ratios)), 2) for f in (min, statistics.median, max)
    ],
  }


def evaluate(
  network: restore.Trained, paths: Sequence[pathlib.Path]
) -> dict[str, Any]:
  """Times an image in memory: forward pass, enlargement, counts."""
  classes = len(network.class_names)
  images = [np.asarray(Image.open(path)) for path in paths]
  label = np.random.default_rng(0).integers(0, classes, images[0].shape[:2])
  predict = inference.make_predict(network.network)
  model = torch_network(network)
  found: dict[str, list[np.ndarray]] = {'ours': [], 'torch': []}

  def ours(number: int) -> None:
    batch = Batch(
      images[number][None],
      label[None],
      np.array([number]),
      np.array([True]),
    )
    found['ours'].append(
      counts.evaluate(predict, network.variables, [batch], num_classes=classes)
    )

  @torch.inference_mode()
  def other(number: int) -> None:
    logits = model(_input(images[number]))
    predicted = torch_deeplab.label(logits, label.shape)[0]
    both = torch.from_numpy(label) * classes + predicted
    matrix = torch.bincount(both.ravel(), minlength=classes**2)
    found['torch'].append(matrix.reshape(classes, classes).numpy())

  times = in_turns(ours, other, len(images) - 1)
  return times | {'pixels_alike': _alike(found)}


def _alike(found: dict[str, list[np.ndarray]]) -> float:
  """Returns the share of the counts of both that are the same."""
  ours, other = (np.array(found[name]) for name in ('ours', 'torch'))
  return round(float(np.minimum(ours, other).sum() / ours.sum()), 5)


def predict(
  network: restore.Trained, run: pathlib.Path, paths: Sequence[pathlib.Path]
) -> dict[str, Any]:
  """Returns the seconds of each further image of a folder, from its files."""
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    (folder / 'images').mkdir()
    for path in paths:
      (folder / 'images' / path.name).symlink_to(path.absolute())
    predict_lib.run(
      run, folder / 'images', folder / 'ours', size=_SEEN, progress=False
    )
    _torch_loop(network, paths, folder / 'torch')
    ours, other = (seconds_a_file(folder / x) for x in ('ours', 'torch'))
    labels = [
      np.stack([np.asarray(Image.open(p)) for p in _label_maps(folder / x)])
      for x in ('ours', 'torch')
    ]
  return {
    'ours_seconds': round(ours, 2),
    'torch_seconds': round(other, 2),
    'torch_times_as_long': [round(other / ours, 2)] * 3,
    'pixels_alike': round(float((labels[0] == labels[1]).mean()), 5),
  }


@torch.inference_mode()
def _torch_loop(
  network: restore.Trained, paths: Sequence[pathlib.Path], out: pathlib.Path
) -> None:
  """Reads, predicts and writes each file, as code for PyTorch usually does."""
  model, palette = torch_network(network), network.palette
  for kind in ('ids', 'color', 'overlay'):
    (out / kind).mkdir(parents=True)
  for path in paths:
    image = Image.open(path).convert('RGB')
    pixels = np.asarray(image)
    seen = image.resize(_SEEN[::-1], Image.Resampling.BILINEAR)
    logits = model(_input(np.asarray(seen)))
    label = torch_deeplab.label(logits, pixels.shape[:2])[0].numpy()
    shown = {
      'overlay': pictures.overlay(pixels, label, palette),
      'color': pictures.colorize(label, palette),
      'ids': label.astype(np.uint8),
    }
    for kind, array in shown.items():
      Image.fromarray(array).save(out / kind / f'{path.stem}.png')


def _label_maps(out: pathlib.Path) -> list[pathlib.Path]:
  return sorted((out / 'ids').glob('*.png'))


def seconds_a_file(out: pathlib.Path) -> float:
  """Returns the mean time between the label maps of a folder, as written."""
  times = sorted(path.stat().st_mtime_ns for path in _label_maps(out))
  return (times[-1] - times[0]) / 1e9 / (len(times) - 1)


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.inference_speed', __doc__)
  group = result.add_argument_group('measurement')
  street_files.add_flags(group)
  return result


def measure(args: argparse.Namespace) -> None:
  """Prints the JSON lines."""
  street_files.write(args.cache_dir, args.images)
  town = args.cache_dir / 'cityscapes/leftImg8bit/train/town'
  paths = sorted(town.glob('*.png'))[: args.images]
  network = trained(args.cache_dir)
  shape = {'network': 'DeepLab-v2, ResNet-101', 'size': [1024, 2048]}
  versions = {'torch': torch.__version__, 'threads': torch.get_num_threads()}
  for case, row in (
    ('evaluate', evaluate(network, paths[:4])),
    ('predict', predict(network, args.cache_dir / 'deeplab', paths)),
  ):
    print(json.dumps({'case': case, **shape, **versions, **row}), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), measure, argv)


if __name__ == '__main__':
  main()
