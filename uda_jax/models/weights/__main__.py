"""Converts published weights to safetensors, checked against a network.

  python -m uda_jax.models.weights mit_b5.pth --model=mit_b5 \\
      --out=mit_b5.safetensors
  python -m uda_jax.models.weights "latest.pth#ema_model" --model=hrda \\
      --out=hrda.safetensors

FILE is PyTorch's (.pth, either format) or safetensors, with any of the tensor
names of docs/weights.md; nothing in it is executed. FILE#PART selects a network
of a file that holds several. RESULT.json beside the result says where it is
from.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from typing import Any

from uda_jax import cli
from uda_jax import flag_values
from uda_jax.models.weights import convert


def _field(text: str) -> tuple[str, Any]:
  name, mark, value = text.partition('=')
  if not mark:
    raise argparse.ArgumentTypeError(f'expected FIELD=VALUE, got {text!r}')
  try:
    return name, ast.literal_eval(value)
  except (ValueError, SyntaxError):
    return name, value


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.models.weights', __doc__)
  group = result.add_argument_group('conversion')
  group.add_argument(
    'file',
    metavar='FILE[#PART]',
    help='the published file; #PART names one of several networks in it',
  )
  group.add_argument(
    '--model',
    required=True,
    choices=sorted(convert.PUBLISHED),
    metavar='NAME',
    help=', '.join(sorted(convert.PUBLISHED)),
  )
  cli.add_out(group, 'the .safetensors file to write')
  group.add_argument(
    '--num_classes',
    type=flag_values.at_least(1),
    default=19,
    metavar='N',
    help='of a whole network; default: 19',
  )
  group.add_argument(
    '--set',
    type=_field,
    action='append',
    default=[],
    metavar='FIELD=VALUE',
    help='another value of a field of config.model, such as encoder=mit_b3',
  )
  group = result.add_argument_group('declared in RESULT.json')
  group.add_argument(
    '--trained_on', metavar='TEXT', help='what the weights were trained on'
  )
  group.add_argument(
    '--licence', metavar='TEXT', help='the licence of the file'
  )
  group.add_argument(
    '--saw_target_labels',
    choices=('yes', 'no'),
    help='whether it includes labels of a target; such weights are refused '
    'later, unless config.model.allow_target_labels is set',
  )
  return result


def write(args: argparse.Namespace) -> None:
  """Converts a file and prints where it is from."""
  declared = {'trained_on': args.trained_on, 'licence': args.licence}
  if args.saw_target_labels:
    declared['saw_target_labels'] = args.saw_target_labels == 'yes'
  fields = convert.PUBLISHED[args.model]
  unknown = sorted({name for name, _ in args.set} - fields.keys())
  if unknown:
    raise ValueError(
      f'--set: expected a field of {args.model}, one of {sorted(fields)}, got '
      f'{unknown[0]!r}'
    )
  if args.out.suffix != '.safetensors':
    raise ValueError(f'--out: expected a .safetensors file, got {args.out}')
  origin = convert.convert(
    args.file,
    args.out,
    fields=fields | dict(args.set),
    num_classes=args.num_classes,
    declared={name: x for name, x in declared.items() if x is not None},
  )
  print(f'{origin}\nwrote {args.out} and {args.out.name}.json')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), write, argv)


if __name__ == '__main__':
  main()
