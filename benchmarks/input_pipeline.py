"""CPU time per image of the input pipeline and of PyTorch-style loaders.

`python -m benchmarks.input_pipeline --cache_dir=DIR` writes files like those of
GTA5 and Cityscapes (once, in about two minutes) and prints JSON lines: CPU
milliseconds per image, and images per second of one core, with the settings of
`gta5_to_cityscapes/daformer`, from files as published ('raw'), from their
copies by `config.data.resized_copies` ('prepared') and from JPEG files of the
published sizes ('jpeg'); 'copies' compares this library on its copies with the
others on the files as published, and says how long making the copies took. Each
line is the median over rounds in which the loaders take turns.

PyTorch and OpenCV are optional; each line lists the installed packages.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
import importlib.metadata
import itertools
import json
import multiprocessing
import os
import pathlib
import statistics
import tempfile
import time
from typing import Any

from benchmarks import pytorch_loader
from benchmarks import street_files
from uda_jax import cli
from uda_jax import flag_values
from uda_jax.configs.gta5_to_cityscapes import daformer
from uda_jax.data import datasets
from uda_jax.data import domains as domains_lib
from uda_jax.data import manifest
from uda_jax.data import pipeline
from uda_jax.data import transforms

GROUP = pytorch_loader.GROUP
FORMS = ('raw', 'prepared', 'jpeg')
# Ours from resized copies, the others from the files as published.
COPIES = 'copies'
# More batches than any loader prefetches.
AHEAD = 20
# Number of batches -> iterator of a loader's batches.
Loader = Callable[[int], Iterator[Any]]


def data_block(root: pathlib.Path, form: str) -> Any:
  """Returns the data block of the config, for the files of `street_files`."""
  config = daformer.get_config().data
  config.update(
    root=str(root),
    cache_dir=str(root / 'cache'),
    resized_copies=form == 'prepared',
  )
  if form == 'jpeg':
    for record in (config.source, config.target):
      record.images = record.images.replace('.png', '.jpg')
  return config


def loaders(config: Any) -> dict[str, Loader]:
  """Returns this library's loader and others, for the same images and settings.

  Args:
    config: a data block.

  Returns:
    Name -> loader of batches of GROUP source and GROUP target images.
  """
  source, target = (
    datasets.load_part(config, name) for name in ('source', 'target')
  )
  domains = one_set_each(config, source, target)
  sizes = (_size(domains[0]), _size(domains[1]))

  def ours(steps):
    return pipeline.train_batches(
      config,
      seed=0,
      first_step=0,
      num_steps=steps,
      groups=1,
      group_size=GROUP,
      process_index=0,
      process_count=1,
      source=source,
      target=target,
    )

  def other(reader):
    return lambda steps: pytorch_loader.batches(
      pytorch_loader.Pairs(domains, sizes, reader, steps * GROUP)
    )

  return {'uda_jax': ours} | {
    name: other(name) for name in pytorch_loader.READERS
  }


def one_set_each(
  config: Any, source: manifest.Manifest, target: manifest.Manifest
) -> tuple[domains_lib.Domain, domains_lib.Domain]:
  """Returns the domains of a data block without blocks of several sets."""
  first, second = domains_lib.domains(config, source, target)
  assert isinstance(first, domains_lib.Domain)
  assert isinstance(second, domains_lib.Domain)
  return first, second


def _size(domain: domains_lib.Domain) -> tuple[int, int]:
  data: manifest.Manifest = domain.data
  return tuple(
    transforms.resized_size([data.heights[0], data.widths[0]], domain.spec)
    .numpy()
    .tolist()
  )


def _cpu() -> float:
  """Returns CPU seconds of this process and of its workers (Linux)."""
  ticks = 0
  for worker in multiprocessing.active_children():
    stat = pathlib.Path(f'/proc/{worker.pid}/stat').read_text()
    # The 14th and 15th field; the 2nd, in brackets, may hold blanks.
    ticks += sum(map(int, stat.rpartition(')')[2].split()[11:13]))
  return time.process_time() + ticks / os.sysconf('SC_CLK_TCK')


def _cpu_at_rest() -> float:
  """Returns `_cpu()` after all prefetched batches are made."""
  quiet, last = 0, _cpu()
  while quiet < 3:
    time.sleep(0.2)
    now = _cpu()
    quiet = quiet + 1 if now - last < 0.01 else 0
    last = now
  return last


def _image_ms(batches: Iterator[Any], steps: int) -> float:
  """Returns CPU milliseconds per image in the next `steps` batches."""
  start = _cpu_at_rest()
  for _ in itertools.islice(batches, steps):
    pass
  return 1000 * (_cpu_at_rest() - start) / (steps * 2 * GROUP)


def compare(
  found: dict[str, Loader], *, steps: int, rounds: int
) -> dict[str, Any]:
  """Measures the loaders in turns.

  Args:
    found: from `loaders`.
    steps: batches a measurement.
    rounds: measurements of each loader.

  Returns:
    Medians of the rounds, and ratios to ours with their range: rounds are
    compared one by one, as the machine may be busy in some.
  """
  running = {
    name: loader(AHEAD + (1 + rounds) * steps) for name, loader in found.items()
  }
  for batches in running.values():
    _image_ms(batches, steps)
  times = [
    {name: _image_ms(batches, steps) for name, batches in running.items()}
    for _ in range(rounds)
  ]
  ms = {name: statistics.median(t[name] for t in times) for name in found}
  ratios = {
    name: sorted(t[name] / t['uda_jax'] for t in times)
    for name in found
    if name != 'uda_jax'
  }
  return {
    'cpu_ms_an_image': {name: round(x, 1) for name, x in ms.items()},
    'images_a_second_a_core': {
      name: round(1000 / x, 1) for name, x in ms.items()
    },
    'times_as_long_as_uda_jax': {
      name: [round(f(x), 2) for f in (min, statistics.median, max)]
      for name, x in ratios.items()
    },
  }


def mixed(root: pathlib.Path) -> dict[str, Loader]:
  """Returns this library's loader of copies, and the others of the files."""
  found = loaders(data_block(root, 'raw'))
  return found | {'uda_jax': loaders(data_block(root, 'prepared'))['uda_jax']}


def copies_cost(root: pathlib.Path) -> dict[str, float]:
  """Returns CPU milliseconds and megabytes that copies of an image add.

  Beside the preparation that every data set needs (labels of train ids).
  """
  seconds, sizes, images = {}, {}, 0
  for form in ('raw', 'prepared'):
    config = data_block(root, form)
    with tempfile.TemporaryDirectory() as cache:
      config.cache_dir = cache
      begin = time.process_time()
      parts = [datasets.load_part(config, x) for x in ('source', 'target')]
      seconds[form] = time.process_time() - begin
      sizes[form] = sum(p.stat().st_size for p in _files(cache))
    images = sum(len(part.image_paths) for part in parts)
  more = lambda of: (of['prepared'] - of['raw']) / images
  return {
    'cpu_ms_to_copy_an_image': round(1000 * more(seconds)),
    'mb_an_image': round(more(sizes) / 1e6, 2),
  }


def _files(folder: str) -> list[pathlib.Path]:
  return [path for path in pathlib.Path(folder).rglob('*') if path.is_file()]


def versions() -> dict[str, str | None]:
  """Returns the versions of the packages; None: not installed."""
  result: dict[str, str | None] = {}
  for name in ('tensorflow-cpu', 'pillow', 'opencv-python-headless', 'torch'):
    try:
      result[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      result[name] = None
  return result


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.input_pipeline', __doc__)
  group = result.add_argument_group('measurement')
  street_files.add_flags(group)
  group.add_argument(
    '--steps',
    type=flag_values.at_least(1),
    default=15,
    metavar='N',
    help='batches of 2 + 2 images a measurement; default: 15',
  )
  group.add_argument(
    '--rounds',
    type=flag_values.at_least(1),
    default=5,
    metavar='N',
    help='measurements of each loader, in turns; default: 5',
  )
  group.add_argument(
    '--forms',
    type=flag_values.names_of((*FORMS, COPIES)),
    default=FORMS,
    metavar='NAME,NAME,...',
    help=f'of {", ".join((*FORMS, COPIES))}; default: {",".join(FORMS)}',
  )
  return result


def measure(args: argparse.Namespace) -> None:
  """Prints one JSON line for each form of the data."""
  street_files.write(args.cache_dir, args.images)
  for form in args.forms:
    if form == COPIES:
      found, cost = mixed(args.cache_dir), copies_cost(args.cache_dir)
    else:
      found, cost = loaders(data_block(args.cache_dir, form)), {}
    print(
      json.dumps(
        {
          'benchmark': 'input_pipeline',
          'images': form,
          'loader': pytorch_loader.LOADER,
          'versions': versions(),
          'steps': args.steps,
          'rounds': args.rounds,
          **compare(found, steps=args.steps, rounds=args.rounds),
          **cost,
        }
      ),
      flush=True,
    )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), measure, argv)


if __name__ == '__main__':
  main()
