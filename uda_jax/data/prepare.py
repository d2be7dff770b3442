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
from collections.abc import Sequence
from typing import Any

from etils import epath
import ml_collections

from uda_jax import cli
from uda_jax import configs
from uda_jax import flag_values
from uda_jax.configs import overrides
from uda_jax.data import decode
from uda_jax.data import label_fraction
from uda_jax.data import records
from uda_jax.data import summary


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
  for name in filter(config.data.get, parts):
    for entry in records.entries(config.data, name):
      title = f'{name} {entry.name}'.strip()
      jobs: dict[str, tuple[bool, label_fraction.Part | None]] = {
        title: (name != 'target', None)
      }
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
    lines = list(summary.lines({} if rows else record, found))
    if found.labeled:
      page = summary.label_page(config, title.replace(' ', '_'), found)
      lines.append(f'look at the labels: {page}')
    good = True
  except manifest.Broken as broken:
    lines = list(summary.problems(config, title.replace(' ', '_'), broken))
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
    type=flag_values.names,
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
    if args.overrides:
      raise ValueError(
        f'{args.overrides[0]}: expected --config with it, got --dataset; its '
        'folders are --source and --out'
      )
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
