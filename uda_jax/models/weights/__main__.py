r"""Converts published weights to safetensors, checked against a network.

  python -m uda_jax.models.weights mit_b5.pth --model=mit_b5 \
      --out=mit_b5.safetensors
  python -m uda_jax.models.weights "latest.pth#ema_model" --model=hrda \
      --out=hrda.safetensors

FILE is PyTorch's (.pth, either format) or safetensors, in any of the spellings
of docs/weights.md; nothing in it is executed. FILE#PART names the network of a
file that holds several. Beside the result, RESULT.json says where it is from.
"""

from __future__ import annotations

import argparse
import ast
import pathlib
from typing import Any

from uda_jax.models.weights import convert


def _field(text: str) -> tuple[str, Any]:
  name, mark, value = text.partition('=')
  if not mark:
    raise argparse.ArgumentTypeError(f'expected FIELD=VALUE, got {text!r}')
  try:
    return name, ast.literal_eval(value)
  except (ValueError, SyntaxError):
    return name, value


def _parse() -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    prog='python -m uda_jax.models.weights',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('file', metavar='FILE[#PART]')
  parser.add_argument(
    '--model',
    required=True,
    choices=sorted(convert.PUBLISHED),
    metavar='NAME',
    help=', '.join(sorted(convert.PUBLISHED)),
  )
  parser.add_argument(
    '--out',
    type=pathlib.Path,
    required=True,
    help='the .safetensors file to write',
  )
  parser.add_argument('--num_classes', type=int, default=19)
  parser.add_argument(
    '--set',
    type=_field,
    action='append',
    default=[],
    metavar='FIELD=VALUE',
    help='another value of a field of config.model, such as encoder=mit_b3',
  )
  parser.add_argument('--trained_on', help='what the weights were trained on')
  parser.add_argument('--licence')
  parser.add_argument(
    '--saw_target_labels',
    choices=('yes', 'no'),
    help='whether labels of a target were among it; such '
    'weights are refused later, unless '
    'config.model.allow_target_labels is set',
  )
  return parser.parse_args()


def main() -> None:
  """Reads the arguments; an error is one message without a traceback."""
  args = _parse()
  told = {'trained_on': args.trained_on, 'licence': args.licence}
  if args.saw_target_labels:
    told['saw_target_labels'] = args.saw_target_labels == 'yes'
  fields = convert.PUBLISHED[args.model]
  unknown = sorted({name for name, _ in args.set} - fields.keys())
  try:
    if unknown:
      raise ValueError(
        f'--set: {args.model} has no {unknown}, only {sorted(fields)}'
      )
    if args.out.suffix != '.safetensors':
      raise ValueError(f'--out: expected a .safetensors file, got {args.out}')
    origin = convert.convert(
      args.file,
      args.out,
      fields=fields | dict(args.set),
      num_classes=args.num_classes,
      told={name: x for name, x in told.items() if x is not None},
    )
  except (ValueError, OSError) as error:
    raise SystemExit(f'error: {error}') from error
  print(f'{origin}\nwrote {args.out} and {args.out.name}.json')


if __name__ == '__main__':
  main()
