r"""Checks the data sets of a leaf, and prepares them for training.

  python -m uda_jax.data.prepare \
      --config=configs/gta5_to_cityscapes/daformer.py --config.data.root=DIR

or a published data set by itself, from its folder:

  python -m uda_jax.data.prepare --dataset=gta5 --source=DIR --out=CACHE

Every file is decoded to its end; labels of train ids and class statistics are
written to `config.data.cache_dir`, where training finds them. All that is wrong
is listed at once, and a file there has every line. A start after a kill goes on
where it was.

Exit codes: 0 all can be trained on (notes may tell of what is unusual); 1 not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import sys
from typing import Any

from absl import app
from absl import flags
from etils import epath
import ml_collections
from ml_collections import config_flags
import numpy as np

from uda_jax.data import decode

_CONFIG = config_flags.DEFINE_config_file(
  'config',
  None,
  'Any leaf of the benchmark; fields are overridden by --config.FIELD=VALUE.',
)
_PARTS = flags.DEFINE_list(
  'parts',
  ['source', 'target', 'evaluation'],
  'Which of its data sets; --parts=source while the others are on their way.',
)
_DATASET = flags.DEFINE_string(
  'dataset',
  '',
  'Instead of --config: gta5, synthia, cityscapes, acdc, '
  'dark_zurich, camvid or idd_lite.',
)
_SOURCE = flags.DEFINE_string(
  'source', '', 'With --dataset: its folder, as it was published.'
)
_OUT = flags.DEFINE_string(
  'out',
  '',
  'With --dataset: where prepared data are kept, instead of '
  "config.data.cache_dir's default.",
)
# Notes and errors that are printed.
_SHOWN = 20


def summary(record: Any, data: Any) -> Iterator[str]:
  """Yields lines on a prepared data set.

  Args:
    record: of the data set in the config.
    data: its manifest.
  """
  sizes, counts = np.unique(
    np.stack([data.heights, data.widths], 1), axis=0, return_counts=True
  )
  order = np.argsort(-counts, kind='stable')
  shown = ', '.join(
    f'{counts[i]} of {sizes[i][0]} x {sizes[i][1]}' for i in order[:5]
  )
  more = f', {len(order) - 5} further sizes' if len(order) > 5 else ''
  yield f'{len(data.image_paths)} images (height x width): {shown}{more}'
  if data.labelled:
    yield from _class_table(data)
  else:
    yield 'without labels'
  yield from (f'note: {line}' for line in _notes(record, data))


def _class_table(data: Any) -> Iterator[str]:
  """How often each class is there."""
  total = data.class_pixels.sum(0)
  images = (data.class_pixels > 0).sum(0)
  yield f'{"class":<16}{"pixels":>9}{"images":>8}'
  for name, pixels, number in zip(data.class_names, total, images):
    yield f'{name:<16}{pixels / max(total.sum(), 1):9.3%}{number:8d}'


def _notes(record: Any, data: Any) -> Iterator[str]:
  """What differs from the published data set, or from what is usual."""
  published = record.get('published_images', 0)
  if published and published != len(data.image_paths):
    yield (
      f'{len(data.image_paths)} images, {published} are published; is the '
      'download complete?'
    )
  absent = [
    data.class_names[c] for c in np.flatnonzero(data.class_pixels.sum(0) == 0)
  ]
  if data.labelled and absent:
    yield f'classes without a pixel: {", ".join(absent)}'
  yield from data.notes[:_SHOWN]
  if len(data.notes) > _SHOWN:
    yield f'and {len(data.notes) - _SHOWN} more such files'


def _report(config: Any, part: str, broken: Any) -> Iterator[str]:
  """Yields a line a kind of problem, and writes all of them to a file."""
  path = epath.Path(config.data.cache_dir).expanduser() / f'errors_{part}.txt'
  lines = map(decode.printable, broken.problems)
  path.write_bytes(('\n'.join(lines) + '\n').encode())
  yield from (f'error: {problem}' for problem in broken.summary[:_SHOWN])
  yield (
    f'{len(broken.problems)} problem(s), all are listed in {path}; files '
    'without a problem are done and are not looked at again'
  )


def run(config: Any, parts: list[str]) -> bool:
  """Prepares the parts and prints what they hold; whether all is well."""
  from uda_jax.data import datasets
  from uda_jax.data import manifest

  wrong = sorted(set(parts) - set(datasets.PARTS))
  if wrong:
    raise ValueError(
      f'--parts: expected some of {datasets.PARTS}, got {wrong[0]!r}'
    )
  well = True
  # A data set by itself is not all parts of a run.
  there = [part for part in datasets.PARTS if config.data[part]]
  if not set(parts) & set(there):
    raise ValueError(
      f'--parts: expected some of what there is, {there}, got {parts}'
    )
  for part in parts:
    if part not in there:
      continue
    record = config.data[part]
    print(f'\n{part}: {record.get("name", record.get("kind", ""))}')
    try:
      lines = list(summary(record, datasets.load_part(config.data, part)))
    except manifest.Broken as broken:
      lines, well = list(_report(config, part, broken)), False
    except (ValueError, OSError) as error:
      lines, well = [f'error: {error}'], False
    print(
      decode.printable('\n'.join(f'  {line}' for line in lines)), flush=True
    )
  return well


def _alone(name: str, source: str, out: str) -> Any:
  """The config of a data set by itself; a part that it has not is None."""
  from uda_jax.configs.blocks import benchmarks
  from uda_jax.data import datasets

  if name not in benchmarks.DATASETS:
    raise ValueError(
      f'--dataset: expected one of {list(benchmarks.DATASETS)}, got {name!r}'
    )
  if not source:
    raise ValueError(f'--source: expected the folder of {name}, got none')
  data = benchmarks.DATASETS[name]()
  if out:
    data.cache_dir = out
  # Absolute, or in a bucket: then a root above it changes nothing.
  root = (
    source
    if '://' in source
    else str(epath.Path(source).expanduser().absolute())
  )
  for part in datasets.PARTS:
    if data[part]:
      data[part].root = root
  return ml_collections.ConfigDict({'data': data})


def _flags_to_train(config: Any, parts: Sequence[str]) -> str:
  """What to train with, so that training finds what was prepared."""
  roots = (
    f'--config.data.{part}.root={config.data[part].root}'
    for part in parts
    if config.data[part]
  )
  return ' '.join((f'--config.data.cache_dir={config.data.cache_dir}', *roots))


def main(argv):
  """Prepares what the flags describe."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments: {argv[1:]}')
  # Imported here, so that --help and a typo in a flag answer at once.
  from uda_jax import cli

  cli.plain_log()
  try:
    if bool(_DATASET.value) == bool(_CONFIG.value):
      raise ValueError(
        '--config, --dataset: expected one of them, got '
        + ('both' if _DATASET.value else 'neither')
      )
    if _CONFIG.value and (_SOURCE.value or _OUT.value):
      raise ValueError(
        '--source, --out: expected them with --dataset, got '
        '--config; set config.data.root and '
        'config.data.cache_dir instead'
      )
    config = _CONFIG.value or _alone(_DATASET.value, _SOURCE.value, _OUT.value)
    well = run(config, _PARTS.value)
    if _DATASET.value and well:
      print(f'\nin a leaf: {_flags_to_train(config, _PARTS.value)}')
  except ValueError as error:
    print(f'error: {error}', file=sys.stderr)
    well = False
  sys.exit(not well)


if __name__ == '__main__':
  app.run(main)
