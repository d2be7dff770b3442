"""Images that the input pipeline makes in a second of CPU time.

`python -m benchmarks.input_pipeline` renders street scenes (once, into
--cache_dir) and prints one JSON line: training batches as `uda_jax.data` makes
them, and the same work as a PyTorch-style loader does it (Pillow decode and
resize, NumPy crop and flip, one sample after the other).
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time

import ml_collections
import numpy as np
from PIL import Image

from uda_jax.data import datasets
from uda_jax.data import pipeline


def config(size: tuple[int, int], crop: tuple[int, int]):
  """The data block: resize to `size`, crop with the class rule, flip."""
  return ml_collections.ConfigDict(dict(
      source_image_size=size, target_image_size=size, keep_ratio=False,
      resize='bilinear', crop_size=crop, scale_range=(1.0, 1.0),
      max_class_share=0.75, flip=True, margins=(0, 0, 0, 0), pad=False,
      rare_class=dict(temperature=0.0, min_pixels=0, min_crop_ratio=0.0),
      pair=dict(crop_size=(0, 0))))


def sample(random: np.random.Generator, size, crop, image, label=None):
  """One sample as Pillow and NumPy make it."""
  image = Image.open(image).convert('RGB')
  label = Image.open(label) if label else None
  if image.size != size[::-1]:
    image = image.resize(size[::-1], Image.BILINEAR)
    label = label and label.resize(size[::-1], Image.NEAREST)
  arrays = [np.asarray(x) for x in (image, label) if x]
  for _ in range(11):
    top, left = (random.integers(n - m + 1) for n, m in zip(size, crop))
    window = [x[top:top + crop[0], left:left + crop[1]] for x in arrays]
    counts = np.bincount(window[-1].ravel(), minlength=256)[:255]
    if not label or counts.max() < 0.75 * counts.sum():
      break
  return [np.ascontiguousarray(x[:, ::random.choice([-1, 1])]) for x in window]


def loader(source, target, size, crop):
  """Yields batches of 2 source and 2 target images."""
  random = np.random.default_rng(0)
  while True:
    chosen = random.integers(len(source.image_paths), size=2)
    batch = [sample(random, size, crop, source.image_paths[i],
                    source.label_paths[i]) for i in chosen]
    chosen = random.integers(len(target.image_paths), size=2)
    batch += [sample(random, size, crop, target.image_paths[i])
              for i in chosen]
    yield [np.stack([row[0] for row in part])
           for part in (batch[:2], batch[2:])]


def speed(batches, steps: int) -> float:
  """Images a second of CPU time, after ten batches of warming up."""
  batches = iter(batches)
  for _ in itertools.islice(batches, 10):
    pass
  start = time.process_time()
  count = sum(4 for _ in itertools.islice(batches, steps))
  return count / (time.process_time() - start)


def main():
  """Prints the JSON line."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--size', type=int, nargs=2, default=(96, 192))
  parser.add_argument('--resize', type=int, nargs=2)
  parser.add_argument('--crop', type=int, nargs=2)
  parser.add_argument('--images', type=int, default=100)
  parser.add_argument('--steps', type=int, default=500)
  parser.add_argument('--cache_dir', default=tempfile.gettempdir())
  args = parser.parse_args()
  size = tuple(args.resize or args.size)
  crop = tuple(args.crop or size)
  load = lambda split, labels: datasets.load(
      dict(kind='streets', split=split, num_images=args.images,
           gap=(0.2, 0.8), image_size=tuple(args.size)),
      root='', cache_dir=args.cache_dir, field=split, labels=labels)
  source, target = load('source_train', True), load('target_train', False)
  ours = pipeline.train_batches(
      config(size, crop), seed=0, first_step=0, num_steps=args.steps + 10,
      groups=1, group_size=2, process_index=0, process_count=1, source=source,
      target=target)
  result = {'image_size': args.size, 'resize': size, 'crop': crop,
            'uda_jax': round(speed(ours, args.steps)),
            'pillow': round(speed(loader(source, target, size, crop),
                                  args.steps))}
  print(json.dumps({'benchmark': 'input_pipeline',
                    'unit': 'images a CPU second'} | result))


if __name__ == '__main__':
  main()
