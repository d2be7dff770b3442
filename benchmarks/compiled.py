"""Compiles the published configs for accelerators that need not be here.

  python -m benchmarks.compiled --devices=h100 --configs=streets/mic
  python -m benchmarks.compiled --devices=v5e --settings=bfloat16,remat
  python -m benchmarks.compiled --table     # of the records, as Markdown

Of each config: the train step of each phase and the evaluation of a batch. Each
program gives a record: does it compile, the peak of its memory, operations,
bytes moved, collectives, and with them lower bounds of its time. Records lie in
one JSON file a config below --records and are written one by one; a program
that has one is not compiled again, so the command can be stopped and repeated.
A program that did not end in --minutes is recorded as stopped, with what was
known by then, and is tried again when --minutes is larger.

No accelerator, driver, data or weights are needed, but the compilers are:
`pip install "jax[cuda12]"` for NVIDIA's cards, `pip install libtpu` for TPUs.
Programs are stopped when their buffers are assigned, since compiling their
kernels takes most of the time and changes no figure; --kernels compiles them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import json
import pathlib
from typing import Any

from benchmarks import published_scores
from uda_jax import cli
from uda_jax import flag_values

RECORDS = pathlib.Path(__file__).parent / 'results' / 'compiled'
# One config a system.
SYSTEMS = tuple(
  f'gta5_to_cityscapes/{name}'
  for name in (
    'pixmatch',
    'ehtdi',
    'lse',
    'lse_deeplab',
    'daformer',
    'hrda',
    'cluda',
    'pipa',
    'mic',
  )
)


def everything() -> list[str]:
  """Returns all configs of the table of published numbers."""
  return [
    f'{benchmark}/{name}'
    for benchmark, runs in published_scores.RUNS.items()
    for name in runs
  ]


def path_of(records: pathlib.Path, config: str) -> pathlib.Path:
  """Returns the file of a config's records."""
  return records / f'{config.removesuffix(".py")}.json'


def read(path: pathlib.Path) -> dict[str, Any]:
  """Returns the records of a config by program; {} without a file."""
  return json.loads(path.read_text()) if path.exists() else {}


def _write(path: pathlib.Path, key: str, record: dict[str, Any]) -> None:
  from uda_jax import files

  path.parent.mkdir(parents=True, exist_ok=True)
  content = json.dumps(read(path) | {key: record}, indent=1, sort_keys=True)
  files.write_atomically(path, f'{content}\n'.encode())


def is_done(record: dict[str, Any] | None, minutes: float) -> bool:
  """Returns whether a program has a record that more time would not change."""
  if not record:
    return False
  return record['stage'] != 'stopped' or record['minutes'] >= minutes


def chosen(args: argparse.Namespace) -> Iterator[Any]:
  """Yields the programs of the flags, all of a config one after the other."""
  from benchmarks import compiled_program as lib

  unknown = sorted(set(args.settings) - set(lib.SETTINGS))
  if unknown:
    raise ValueError(
      f'--settings: expected some of {", ".join(lib.SETTINGS)}, got '
      f'{unknown[0]!r}'
    )
  for config in args.configs or SYSTEMS:
    names = everything() if config == 'all' else [config]
    for name in names:
      for setting in args.settings:
        loaded = lib.load(lib.Program(name, '', ''))
        if not lib.changes(setting, loaded):
          continue
        parts = [part for part in lib.parts(loaded) if _wanted(part, args)]
        for device in args.devices:
          for part in parts:
            yield lib.Program(name, part, device, args.chips, setting)


def _wanted(part: str, args: argparse.Namespace) -> bool:
  return not args.parts or any(part.startswith(name) for name in args.parts)


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.compiled', __doc__)
  _add_programs(result.add_argument_group('programs'))
  _add_work(result.add_argument_group('work'))
  return result


def _add_programs(group: Any) -> None:
  """Adds the flags of what is compiled."""
  group.add_argument(
    '--configs',
    type=flag_values.names,
    default=(),
    metavar='NAME,NAME,...',
    help="configs, or 'all' of docs/published/table.md; default: one a "
    f'system, {", ".join(SYSTEMS)}',
  )
  group.add_argument(
    '--devices',
    type=flag_values.names,
    default=('h100',),
    metavar='NAME,...',
    help='h100, h200, rtx_3090, v5e or cpu; default: h100',
  )
  group.add_argument(
    '--chips',
    type=flag_values.at_least(1),
    default=1,
    metavar='N',
    help='devices that a program runs on, one group each; v5e: 1, 4, 8, 16, '
    '256; default: 1',
  )
  group.add_argument(
    '--settings',
    type=flag_values.names,
    default=('as published',),
    metavar='NAME,...',
    help="'as published', bfloat16, remat (recompute blocks in the backward "
    "pass), 'bfloat16 remat'; a config that has it already, or no such field, "
    'is passed over; default: as published',
  )
  group.add_argument(
    '--parts',
    type=flag_values.names,
    default=(),
    metavar='NAME,...',
    help="step, 'step 0', 'step 1', evaluation; default: all of a config",
  )


def _add_work(group: Any) -> None:
  """Adds the flags of how it is compiled, and what becomes of it."""
  group.add_argument(
    '--minutes',
    type=flag_values.at_least(1),
    default=15,
    metavar='N',
    help='after which a compilation is stopped; default: 15',
  )
  group.add_argument(
    '--kernels',
    action='store_true',
    help='compile the kernels, too, instead of stopping when the buffers are '
    'assigned',
  )
  group.add_argument(
    '--records',
    type=flag_values.path,
    default=RECORDS,
    metavar='DIR',
    help='folder of the records; default: benchmarks/results/compiled',
  )
  group.add_argument(
    '--table',
    action='store_true',
    help='print the tables of all records and compile nothing',
  )


def _check_devices(args: argparse.Namespace) -> None:
  """Raises ValueError for unknown devices, or a number of chips not sold."""
  from benchmarks import chips

  for device in args.devices:
    if device != 'cpu' and device not in chips.CHIPS:
      raise ValueError(
        f'--devices: expected some of {", ".join(chips.CHIPS)}, cpu, got '
        f'{device!r}'
      )
  if 'v5e' in args.devices and args.chips not in chips.V5E_SLICES:
    raise ValueError(
      f'--chips: expected one of {list(chips.V5E_SLICES)} for v5e, got '
      f'{args.chips}'
    )


def compiled(args: argparse.Namespace) -> None:
  """Compiles what has no record yet, or prints the tables."""
  if args.table:
    from benchmarks import compiled_tables

    print(compiled_tables.page(args.records))
    return
  from benchmarks import compiled_process

  _check_devices(args)
  for program in chosen(args):
    path = path_of(args.records, program.config)
    if is_done(read(path).get(program.key), args.minutes):
      continue
    print(f'{program.config}: {program.key} ...', flush=True)
    record = compiled_process.compile_one(
      program, minutes=args.minutes, kernels=args.kernels
    )
    _write(path, program.key, record)
    peak = f', {record["peak_gib"]} GiB' if 'peak_gib' in record else ''
    print(
      f'  {record["stage"]} after {record["wall_minutes"]} min{peak}'
      f'{", " + record["error"] if "error" in record else ""}',
      flush=True,
    )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), compiled, argv)


if __name__ == '__main__':
  main()
