"""Checks the data sets of a config, and prepares them for training.

  python -m uda_jax.data.prepare --config=gta5_to_cityscapes/daformer \\
      --config.data.root=DIR

or a published data set by itself, from its folder:

  python -m uda_jax.data.prepare --dataset=gta5 --source=DIR --out=CACHE

Decodes every file to its end, and writes labels of train ids and class
statistics to config.data.cache_dir, where training finds them. Draws a few
labels over their images. Lists all that is wrong at once, and writes each line
to a file. A start after a kill goes on where it was.

Exit codes: 0 all can be trained on (notes report what is unusual); 1 not; 2
wrong flags.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath
import ml_collections
import numpy as np

from uda_jax import cli
from uda_jax import configs
from uda_jax.configs import overrides
from uda_jax.data import decode
from uda_jax.data import label_fraction
from uda_jax.data import records

# Notes and errors that are printed.
_SHOWN = 20
# Images on the page of labels.
_PICTURES = 4


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
  channels = f' of {data.channels} channels' if data.channels != 3 else ''
  yield (
    f'{len(data.image_paths)} images{channels} (height x width): {shown}{more}'
  )
  if data.labelled:
    yield from _class_table(data)
  else:
    yield 'without labels'
  yield from (f'note: {line}' for line in _notes(record, data))


def _label_page(config: Any, part: str, data: Any) -> Any:
  """Draws a few labels over their images; returns the picture's path.

  A label map that gives ids to the wrong classes is seen at a glance, and
  nowhere in a count.
  """
  from uda_jax import galleries
  from uda_jax import pictures
  from uda_jax.data import transforms

  rows = []
  for i in np.linspace(0, len(data.image_paths) - 1, _PICTURES).astype(int):
    path = transforms.path_tensor(data.image_paths[i])
    image = transforms.read_image(path, data.channels).numpy()
    image = pictures.rgb(image)
    label = np.asarray(decode.open_picture(data.label_paths[i]).image)
    rows.append((image, label, pictures.overlay(image, label, data.palette)))
  page = galleries.gallery(
    rows,
    titles=('image', 'label', 'label on image'),
    palette=data.palette,
    class_names=data.class_names,
  )
  path = epath.Path(config.data.cache_dir).expanduser() / f'labels_{part}.png'
  pictures.write_png(path, page)
  return path


def _class_table(data: Any) -> Iterator[str]:
  """Yields a table of the pixels and images of each class."""
  total = data.class_pixels.sum(0)
  images = (data.class_pixels > 0).sum(0)
  yield f'{"class":<16}{"pixels":>9}{"images":>8}'
  for name, pixels, number in zip(data.class_names, total, images):
    yield f'{name:<16}{pixels / max(total.sum(), 1):9.3%}{number:8d}'


def _notes(record: Any, data: Any) -> Iterator[str]:
  """Yields differences from the published data set, and oddities."""
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


def _check_parts(config: Any, parts: Sequence[str]) -> None:
  """Raises ValueError unless one of the parts, all known, is in the config."""
  wrong = sorted(set(parts) - set(records.PARTS))
  if wrong:
    raise ValueError(
      f'--parts: expected some of {records.PARTS}, got {wrong[0]!r}'
    )
  # A published data set by itself is not all parts of a run.
  there = [part for part in records.PARTS if config.data[part]]
  if not set(parts) & set(there):
    raise ValueError(
      f'--parts: expected some of what there is, {there}, got {tuple(parts)}'
    )


def run(config: Any, parts: Sequence[str]) -> list[str]:
  """Prepares the parts and prints what they hold; returns the unusable ones."""
  failed = []
  some = label_fraction.part(config.data, config.get('seed', 0))
  for name in parts:
    if not config.data[name]:
      continue
    for entry in records.entries(config.data, name):
      title = f'{name} {entry.name}'.strip()
      jobs = {title: (name != 'target', None)}
      if name == 'target' and some:
        jobs[title.replace(name, label_fraction.PART)] = True, some
      for title, (labels, rows) in jobs.items():
        if not _run_set(config, name, entry, title, labels, rows):
          failed.append(title)
  return failed


def _run_set(
  config: Any, part: str, entry: Any, title: str, labels: bool, rows: Any
) -> bool:
  """Prepares one data set and prints what it holds; False if it is unusable."""
  from uda_jax.data import datasets
  from uda_jax.data import manifest
  from uda_jax.data import prepared

  record, data, good = entry.record, config.data, False
  print(f'\n{title}: {record.get("name", record.get("kind", ""))}')
  try:
    # A published data set by itself has no network.
    channels = config.model.in_channels if 'model' in config else 3
    recipe = datasets.recipe_of_set(
      data, part, entry, channels, labels=labels, part=rows
    )
    found = prepared.prepare(recipe, data.cache_dir)
    lines = list(summary({} if rows else record, found))
    if found.labelled:
      page = _label_page(config, title.replace(' ', '_'), found)
      lines.append(f'look at the labels: {page}')
    good = True
  except manifest.Broken as broken:
    lines = list(_report(config, title.replace(' ', '_'), broken))
  except (ValueError, OSError) as error:
    lines = [f'error: {error}']
  print(decode.printable('\n'.join(f'  {line}' for line in lines)), flush=True)
  return good


def _alone(name: str, source: str | None, out: str | None) -> Any:
  """Returns the config of a published data set; absent parts are None."""
  from uda_jax.configs.blocks import benchmarks

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
  for part in records.PARTS:
    if data[part]:
      data[part].root = root
  return ml_collections.ConfigDict({'data': data})


def _flags_to_train(config: Any, parts: Sequence[str]) -> str:
  """Returns the flags with which training finds what was prepared."""
  roots = (
    f'--config.data.{part}.root={config.data[part].root}'
    for part in parts
    if config.data[part]
  )
  return ' '.join((f'--config.data.cache_dir={config.data.cache_dir}', *roots))


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.data.prepare', __doc__)
  group = result.add_argument_group('data sets of a config')
  cli.add_config(group, 'any config of the benchmark', required=False)
  group.add_argument(
    '--parts',
    type=cli.names,
    metavar='PART,PART,...',
    default=records.PARTS,
    help='which of source, target and evaluation; default: all. '
    '--parts=source while the others are still being downloaded',
  )
  group = result.add_argument_group('a data set by itself')
  group.add_argument(
    '--dataset',
    metavar='NAME',
    help='gta5, synthia, synscapes, cityscapes, acdc, dark_zurich, bdd100k, '
    'mapillary, wilddash, camvid or idd_lite',
  )
  group.add_argument(
    '--source', metavar='DIR', help='its folder, as it was published'
  )
  group.add_argument(
    '--out',
    metavar='DIR',
    help='where prepared data are kept; default: config.data.cache_dir',
  )
  return result


def _config(args: argparse.Namespace) -> Any:
  """Returns the config that the arguments name; its `data` alone is read."""
  if bool(args.dataset) == bool(args.config):
    raise ValueError(
      '--config, --dataset: expected one of them, got '
      + ('both' if args.dataset else 'neither')
    )
  if args.dataset:
    return _alone(args.dataset, args.source, args.out)
  if args.source or args.out:
    raise ValueError(
      '--source, --out: expected them with --dataset, got --config; set '
      'config.data.root and config.data.cache_dir instead'
    )
  return overrides.apply(configs.load(args.config), args.overrides)


def prepare(args: argparse.Namespace) -> int:
  """Prepares what the arguments name; returns the exit code."""
  config = _config(args)
  _check_parts(config, args.parts)
  with cli.hidden_stderr(not args.debug):
    from uda_jax.data import datasets  # noqa: F401, with TensorFlow
  failed = run(config, args.parts)
  if failed:
    # The errors may stand above the tables of the parts after them.
    print(f'\nnot usable: {", ".join(failed)}; see the errors above')
  elif args.dataset:
    print(f'\nto train on it: {_flags_to_train(config, args.parts)}')
  return bool(failed)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), prepare, argv)


if __name__ == '__main__':
  main()
