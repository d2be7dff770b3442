"""CPU time of an image: our input pipeline and a loader of PyTorch's kind.

`python -m benchmarks.input_pipeline --cache_dir=DIR` writes files like those of
GTA5 and Cityscapes (once, in about two minutes) and prints JSON lines: CPU
milliseconds of an image, and the images a second that one core makes, with the
settings of configs/gta5_to_cityscapes/daformer.py, from the published files
('raw') and from `config.data.resized_copies` ('prepared'). Each line has the
median of rounds in which the loaders took turns.

PyTorch and OpenCV are used where they are installed and need not be; each line
says what was there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
import importlib.metadata
import json
import pathlib
import resource
import statistics
import time
from typing import Any

from benchmarks import pytorch_loader
from benchmarks import street_files
from configs.gta5_to_cityscapes import daformer
from uda_jax.data import datasets
from uda_jax.data import examples
from uda_jax.data import manifest
from uda_jax.data import pipeline
from uda_jax.data import transforms

GROUP = pytorch_loader.GROUP
# A loader's batches, by how many there shall be.
Loader = Callable[[int], Iterator[Any]]


def data_block(root: pathlib.Path, *, prepared: bool) -> Any:
  """The data block of the leaf, for the files of `street_files`."""
  config = daformer.get_config().data
  config.update(root=str(root), cache_dir=str(root / 'cache'),
                resized_copies=prepared)
  return config


def loaders(config: Any) -> dict[str, Loader]:
  """Our pipeline and others for the same images and settings.

  Args:
    config: a data block.

  Returns:
    Name -> loader of batches of GROUP source and GROUP target images.
  """
  source, target = (datasets.load_part(config, name)
                    for name in ('source', 'target'))
  domains = examples.domains(config, source, target)
  sizes = tuple(_size(domain) for domain in domains)

  def ours(steps):
    return pipeline.train_batches(
        config, seed=0, first_step=0, num_steps=steps, groups=1,
        group_size=GROUP, process_index=0, process_count=1, source=source,
        target=target)

  def other(reader):
    return lambda steps: pytorch_loader.batches(pytorch_loader.Pairs(
        domains, sizes, reader, steps * GROUP))

  return {'uda_jax': ours} | {
      name: other(name) for name in pytorch_loader.READERS}


def _size(domain: examples.Domain) -> tuple[int, int]:
  data: manifest.Manifest = domain.data
  return tuple(transforms.resized_size(
      [data.heights[0], data.widths[0]], domain.spec).numpy().tolist())


def _cpu() -> float:
  """Seconds of all threads, and of worker processes that have ended."""
  worker = resource.getrusage(resource.RUSAGE_CHILDREN)
  return time.process_time() + worker.ru_utime + worker.ru_stime


def _seconds(loader: Loader, steps: int) -> float:
  start = _cpu()
  count = sum(1 for _ in loader(steps))
  assert count == steps
  return _cpu() - start


def image_ms(loader: Loader, steps: int) -> float:
  """CPU milliseconds of an image; what a start costs is left out."""
  warm = 2
  # Batches are made ahead, so only whole runs can be compared.
  seconds = _seconds(loader, warm + steps) - _seconds(loader, warm)
  return 1000 * seconds / (steps * 2 * GROUP)


def compare(found: dict[str, Loader], *, steps: int,
            rounds: int) -> dict[str, Any]:
  """Returns the times of the loaders and their ratios to ours."""
  times = [{name: image_ms(loader, steps) for name, loader in found.items()}
           for _ in range(rounds)]
  median = lambda values: statistics.median(values)
  ms = {name: median(t[name] for t in times) for name in found}
  return {
      'cpu_ms_an_image': {name: round(x, 1) for name, x in ms.items()},
      'images_a_second_a_core': {
          name: round(1000 / x, 1) for name, x in ms.items()},
      # Of each round, as the machine may have been busy in some.
      'times_as_long_as_uda_jax': {
          name: [round(median(t[name] / t['uda_jax'] for t in times), 2),
                 *(round(f(t[name] / t['uda_jax'] for t in times), 2)
                   for f in (min, max))]
          for name in found if name != 'uda_jax'}}


def versions() -> dict[str, str]:
  """The packages that do the work; None is not installed."""
  result = {}
  for name in ('tensorflow-cpu', 'pillow', 'opencv-python-headless', 'torch'):
    try:
      result[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      result[name] = None
  return result


def main() -> None:
  """Prints a JSON line a form of the data."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument('--cache_dir', type=pathlib.Path, required=True)
  parser.add_argument('--images', type=int, default=6,
                      help='files of each data set')
  parser.add_argument('--steps', type=int, default=20,
                      help='batches of 2 + 2 images a measurement')
  parser.add_argument('--rounds', type=int, default=5)
  args = parser.parse_args()
  street_files.write(args.cache_dir, args.images)
  for form in ('raw', 'prepared'):
    config = data_block(args.cache_dir, prepared=form == 'prepared')
    print(json.dumps({
        'benchmark': 'input_pipeline', 'images': form,
        'loader': pytorch_loader.LOADER, 'versions': versions(),
        'steps': args.steps, 'rounds': args.rounds,
        **compare(loaders(config), steps=args.steps, rounds=args.rounds)}),
          flush=True)


if __name__ == '__main__':
  main()
