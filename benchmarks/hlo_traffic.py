"""Bytes that a compiled program moves between chip and memory, by operator.

What XLA fuses counts once: the operands and results of a fusion, of which a
slice counts as the part that is read or written. Buffers that the compiler put
into memory on the chip do not count. Caches are left out.
"""

from __future__ import annotations

import collections
import re
from typing import NamedTuple

from benchmarks import hlo

# They move nothing: names for what is there, or waits.
_FREE = {
  'parameter',
  'constant',
  'tuple',
  'get-tuple-element',
  'bitcast',
  'after-all',
  'partition-id',
  'replica-id',
  'while',
  'conditional',
  'call',
  'opt-barrier',
  'domain',
}


class Traffic(NamedTuple):
  """Bytes of a run of a program, each loop as often as it runs.

  Attributes:
    kinds: by opcode, target of a custom call, 'fusion' or, for a fusion that
      only moves data, 'fusion (copy)'.
    places: by the place in the Python program, as JAX names it.
    kernels: number of instructions that run, each a kernel or more.
  """

  kinds: dict[str, int]
  places: dict[str, int]
  kernels: int


def count(text: str) -> Traffic:
  """Returns the bytes that a program moves.

  Args:
    text: HLO after XLA's passes.
  """
  module, entry = hlo.parse(text)
  kinds: collections.Counter[str] = collections.Counter()
  places: collections.Counter[str] = collections.Counter()
  kernels = 0

  def visit(ops: list[hlo.Op], times: int) -> None:
    nonlocal kernels
    shapes = {op.name: op.shape for op in ops}
    for op in ops:
      if op.opcode in _FREE or op.opcode.endswith(('-done', '-update')):
        continue
      kernels += times
      if moved := _moved(op, shapes, module):
        kinds[_kind(op, module)] += times * moved
        places[op.place] += times * moved

  hlo.walk(module, entry, visit)
  return Traffic(dict(kinds), dict(places), kernels)


def _kind(op: hlo.Op, module: hlo.Module) -> str:
  if op.opcode == 'custom-call':
    return op.target
  if op.opcode == 'fusion' and _only_moves(module[op.called[0]]):
    return 'fusion (copy)'
  return op.opcode.removesuffix('-start')


# The last result of cuBLAS and cuDNN.
_WORKSPACE = re.compile(r', [su]8\[\d+\](\{[^}]*\})?\)$')
_MOVES = {'parameter', 'copy', 'transpose', 'bitcast', 'reshape', 'tuple'}


def _only_moves(ops: list[hlo.Op]) -> bool:
  return all(op.opcode in _MOVES for op in ops)


def _size(shape: str) -> int:
  return hlo.size(shape, chip=False)


def _moved(op: hlo.Op, shapes: dict[str, str], module: hlo.Module) -> int:
  """Returns the bytes that one run of an instruction reads and writes."""
  operands = [_size(shapes[name]) for name in op.operands if name in shapes]
  if op.opcode.endswith('-start'):
    return 2 * sum(operands)
  if op.opcode in ('dynamic-slice', 'gather', 'slice'):
    return 2 * _size(op.shape)
  if op.opcode == 'dynamic-update-slice':
    return 2 * operands[1]
  if op.opcode == 'fusion' and op.called:
    return _fusion(op, operands, module[op.called[0]])
  if op.opcode == 'custom-call':
    return sum(operands) + _size(_WORKSPACE.sub('', op.shape))
  return sum(operands) + _size(op.shape)


def _fusion(op: hlo.Op, operands: list[int], ops: list[hlo.Op]) -> int:
  """Returns the bytes of a fusion; slices count as what is used of them."""
  inner = {one.name: one for one in ops}
  users = collections.defaultdict(list)
  for one in ops:
    for name in one.operands:
      users[name].append(one)
  read = 0
  for one in ops:
    if one.opcode == 'parameter':
      number = int(one.operands[0])
      whole = operands[number] if number < len(operands) else 0
      read += min(whole, _read(one.name, users, inner, whole))
  return read + _written(op, ops, inner)


def _read(name, users, inner, whole: int) -> int:
  """Returns the bytes read of a parameter of a fusion."""
  total = 0
  for user in users[name]:
    if user.opcode in ('dynamic-slice', 'gather') and user.operands[0] == name:
      total += _size(user.shape)
    elif user.opcode == 'dynamic-update-slice' and user.operands[0] == name:
      continue
    elif user.opcode in ('bitcast', 'reshape'):
      total += _read(user.name, users, inner, whole)
    else:
      return whole
  return total


def _written(op: hlo.Op, ops: list[hlo.Op], inner) -> int:
  """Returns the bytes that a fusion writes."""
  root = next(one for one in ops if one.root)
  results = [inner[name] for name in root.operands]
  parts = results if root.opcode == 'tuple' else [root]
  total = 0
  for part in parts:
    while part.opcode in ('bitcast', 'reshape') and part.operands[0] in inner:
      part = inner[part.operands[0]]
    if part.opcode == 'dynamic-update-slice':
      total += _size(inner[part.operands[1]].shape)
    else:
      total += _size(part.shape)
  # What stays on the chip has its place in the shape of the fusion alone.
  return min(total, _size(op.shape))
