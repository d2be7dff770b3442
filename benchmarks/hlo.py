"""Work of a compiled program, read from its HLO text.

XLA's own cost analysis counts the body of a loop once; here it counts as often
as it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import re
from typing import NamedTuple

_BYTES = {
  'pred': 1,
  **{name: 1 for name in ('s8', 'u8', 'f8e4m3fn', 'f8e5m2')},
  **{name: 2 for name in ('s16', 'u16', 'f16', 'bf16')},
  **{name: 4 for name in ('s32', 'u32', 'f32')},
  **{name: 8 for name in ('s64', 'u64', 'f64', 'c64')},
  'c128': 16,
}
_COLLECTIVES = (
  'all-reduce',
  'all-gather',
  'all-to-all',
  'reduce-scatter',
  'collective-permute',
)
# A shape and its layout; S(n) with n > 0 is memory on the chip.
_SHAPE = re.compile(r'\b([a-z]+[0-9]*[a-z0-9]*)\[([0-9,]*)\](\{[^}]*\})?')
_LINE = re.compile(r'^\s*(ROOT )?%?([\w.\-]+) = (.*)$')
_HEAD = re.compile(r'^(ENTRY )?%?([\w.\-]+)(?: \(.*)? (?:->.* )?\{\s*$')
_CALLED = re.compile(r'(?:to_apply|calls|body)=%?([\w.\-]+)')
_TRIPS = re.compile(r'"?known_trip_count"?:\{"?n"?:"?(\d+)"?\}')


class Op(NamedTuple):
  """An instruction: name, opcode, shape, operands' names, the rest."""

  name: str
  opcode: str
  shape: str
  operands: tuple[str, ...]
  rest: str
  root: bool

  @property
  def called(self) -> list[str]:
    """The computations that it names: a fusion's, a loop's body last."""
    return _CALLED.findall(self.rest)

  @property
  def target(self) -> str:
    """The target of a custom call."""
    found = re.search(r'custom_call_target="([^"]*)"', self.rest)
    return found[1] if found else self.opcode

  @property
  def place(self) -> str:
    """The place in the Python program, as JAX names it; '' if unknown."""
    found = re.search(r'op_name="([^"]*)"', self.rest)
    return found[1] if found else ''


# Computation -> its instructions.
Module = dict[str, list[Op]]


class Collectives(NamedTuple):
  """Collectives of a kind in a run of the program: number and bytes."""

  count: int  # type: ignore[assignment]  # hides tuple.count
  bytes: int


def size(shape: str, *, chip: bool = True) -> int:
  """Returns the bytes of a shape, the parts of a tuple added up.

  Args:
    shape: such as 'f32[2,3]{1,0}' or '(f32[2], s32[])'.
    chip: whether parts in memory on the chip count.
  """
  total = 0
  for dtype, dims, layout in _SHAPE.findall(shape):
    if dtype not in _BYTES:
      if dtype in ('token', 'opaque'):
        continue
      raise ValueError(f'hlo: expected a known type of numbers, got {dtype!r}')
    if not chip and re.search(r'S\([1-9]', layout):
      continue
    elements = 1
    for side in filter(None, dims.split(',')):
      elements *= int(side)
    total += _BYTES[dtype] * elements
  return total


def _closing(text: str, start: int) -> int:
  """Returns the position of the bracket that closes the one at `start`."""
  depth = 0
  for i in range(start, len(text)):
    depth += (text[i] in '([{') - (text[i] in ')]}')
    if not depth:
      return i
  raise ValueError(f'hlo: brackets do not close in {text[:80]!r}')


def _parts(shape: str) -> list[str]:
  """Returns the shapes in a tuple."""
  parts, start, i = [], 1, 1
  while i < len(shape) - 1:
    if shape[i] in '([{':
      i = _closing(shape, i)
    elif shape[i] == ',':
      parts.append(shape[start:i])
      start = i + 1
    i += 1
  return [*parts, shape[start : len(shape) - 1]]


def _op(line: str) -> Op | None:
  """Parses the line of an instruction; None for any other line."""
  found = _LINE.match(line)
  if not found:
    return None
  root, name, text = found.groups()
  text = re.sub(r'/\*.*?\*/', '', text)
  end = _closing(text, 0) + 1 if text[0] == '(' else text.index(' ')
  shape, text = text[:end], text[end:].lstrip()
  opened = text.index('(')
  closed = _closing(text, opened)
  inner = text[opened + 1 : closed]
  opcode = text[:opened]
  names = () if opcode == 'constant' else re.findall(r'%?([\w.\-]+)', inner)
  if '[' in inner and opcode != 'constant':
    names = re.findall(r'([\w.\-]+)(?:,|$)', _SHAPE.sub('', inner))
  return Op(name, opcode, shape, tuple(names), text[closed + 1 :], bool(root))


def parse(text: str) -> tuple[Module, str]:
  """Returns the computations of an HLO text, and the name of the entry."""
  module: Module = {}
  entry, current = '', None
  for line in text.splitlines():
    head = _HEAD.match(line)
    if head and ' = ' not in line.split('(')[0]:
      current = module.setdefault(head[2], [])
      if head[1]:
        entry = head[2]
    elif current is not None and (op := _op(line)):
      current.append(op)
  if not entry:
    raise ValueError('hlo: expected the text of a module, found no ENTRY')
  return module, entry


def _inner(op: Op) -> Iterator[tuple[str, int]]:
  """Yields the computations that an instruction runs, and how often."""
  if op.opcode == 'while':
    trips = _TRIPS.search(op.rest)
    yield (
      re.findall(r'body=%?([\w.\-]+)', op.rest)[0],
      (int(trips[1]) if trips else 1),
    )
  elif op.opcode == 'conditional':
    # The branch that does most is not known; the first one stands for all.
    yield (
      re.findall(
        r'(?:branch_computations=\{|true_computation=)%?([\w.\-]+)', op.rest
      )[0],
      1,
    )
  elif op.opcode in ('call', 'async-start'):
    for name in op.called:
      yield name, 1


def walk(
  module: Module,
  name: str,
  visit: Callable[[list[Op], int], None],
  times: int = 1,
) -> None:
  """Calls `visit(instructions, times)` for each computation that runs.

  Args:
    module: the computations.
    name: where to begin, the entry.
    visit: is given how often the computation runs.
    times: runs of the first one.
  """
  visit(module[name], times)
  for op in module[name]:
    for inner, count in _inner(op):
      walk(module, inner, visit, times * count)


def collectives(text: str) -> dict[str, Collectives]:
  """Returns the collectives by kind, those in loops as often as they run.

  Args:
    text: HLO, before or after XLA's passes.
  """
  module, entry = parse(text)
  found: dict[str, Collectives] = {}

  def visit(ops: list[Op], times: int) -> None:
    for op in ops:
      kind = op.opcode.removesuffix('-start')
      if kind in _COLLECTIVES:
        shape = op.shape
        if op.opcode != kind and kind != 'all-reduce':
          shape = _parts(shape)[1]  # operands, results, ...
        old = found.get(kind, Collectives(0, 0))
        found[kind] = Collectives(
          old.count + times, old.bytes + times * size(shape)
        )

  walk(module, entry, visit)
  return found


def loops_without_count(text: str) -> int:
  """Returns the number of loops whose number of runs XLA does not state."""
  module, _ = parse(text)
  ops = (op for computation in module.values() for op in computation)
  return sum(op.opcode == 'while' and not _TRIPS.search(op.rest) for op in ops)
