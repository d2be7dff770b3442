r"""Writes a network of a run as safetensors, named as its authors' files are.

  python -m uda_jax.export.weights --workdir=RUN --network=teacher \
      --out=teacher.safetensors

The names are those of the network's own PyTorch code, or of another spelling
of docs/weights.md. Beside the file, FILE.json says where it is from.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

import ml_collections

from uda_jax import methods
from uda_jax import models
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import metadata
from uda_jax.models.weights import safetensors
from uda_jax.runs import restore


def declaration(
  config: ml_collections.ConfigDict,
  which: str,
  spelling: str,
  started_from: dict[str, Any],
) -> dict[str, Any]:
  """Returns what is to be told of a run's weights.

  Args:
    config: the run's.
    which: 'student', 'teacher' or 'best'.
    spelling: of the file.
    started_from: what was declared of the weights that the run started from.
  """
  source, target = config.data.source, config.data.target
  oracle = source == target
  trained_on = f'{source.name} with labels'
  if not oracle:
    method = methods.full_name(config.method)
    trained_on += f', {target.name} without (method {method})'
  before = started_from.get('trained_on')
  return {
    'trained_on': f'{before}; {trained_on}' if before else trained_on,
    'saw_target_labels': (
      oracle or bool(started_from.get('saw_target_labels'))
    ),
    'preprocessing': models.preprocessing_name(config),
    'model': config.model.name,
    'network': which,
    'spelling': spelling,
  }


def started_from(workdir: pathlib.Path) -> dict[str, Any]:
  """Returns what was declared of the weights that a run started from."""
  manifest = json.loads((workdir / 'manifest.json').read_text())
  origin = manifest['starts'][0].get('weights') or {}
  return origin.get('declared', {})


def run(args: Any) -> int:
  """Writes the network of the arguments; returns the number of tensors."""
  trained = restore.load(args.workdir, args.network)
  tensors = models.export(trained.config, trained.variables)
  if args.spelling:
    tensors = key_maps.respell(tensors, args.spelling)
  safetensors.write(args.out, tensors)
  metadata.write(
    args.out,
    declaration(
      trained.config,
      args.network or trained.config.eval.network,
      args.spelling,
      started_from(args.workdir),
    ),
  )
  return len(tensors)


def main() -> None:
  """Reads the arguments; an error is one message without a traceback."""
  parser = argparse.ArgumentParser(
    prog='python -m uda_jax.export.weights',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    '--workdir',
    type=pathlib.Path,
    required=True,
    help='the directory of the run',
  )
  parser.add_argument(
    '--network',
    default='',
    choices=('student', 'teacher', 'best'),
    help='default: the one that the run reports',
  )
  parser.add_argument(
    '--out',
    type=pathlib.Path,
    required=True,
    help='the .safetensors file to write',
  )
  parser.add_argument(
    '--spelling',
    default='',
    choices=[s.name for s in key_maps.SPELLINGS],
    metavar='NAME',
    help="default: the authors' own names",
  )
  args = parser.parse_args()
  try:
    count = run(args)
  except (ValueError, OSError) as error:
    raise SystemExit(f'error: {error}') from error
  print(f'wrote {count} tensors to {args.out} and {args.out.name}.json')


if __name__ == '__main__':
  main()
