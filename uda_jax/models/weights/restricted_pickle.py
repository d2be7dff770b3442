"""Interpreter of the subset of pickle in weight files; executes nothing.

Python's own unpickler calls any function that a file names. This interpreter
knows containers, strings, numbers and a few marker objects only: a file can
call nothing, and everything else is refused.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import pickletools
from typing import Any, BinaryIO

# Pickles of weight files hold names and shapes: some 200 KB and 50,000
# instructions for ResNet-101, ten times that for a checkpoint of three
# transformers and their optimizer. The limits bound memory and time.
MAX_BYTES = 1 << 24
MAX_PROTOCOL = 5
MAX_INSTRUCTIONS = 1 << 21
MAX_COPIED_PAIRS = 1 << 20
# Integers of one hash would make a dictionary slow.
MAX_KEY = 1 << 31

_MARK = object()
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_EMPTY = {'EMPTY_DICT': dict, 'EMPTY_LIST': list, 'EMPTY_TUPLE': tuple}
_LITERALS = frozenset({
  'BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE',
  'SHORT_BINUNICODE', 'BINSTRING', 'SHORT_BINSTRING',
})  # fmt: skip
_SMALL_TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}
_PUT = frozenset({'BINPUT', 'LONG_BINPUT', 'MEMOIZE'})
_GET = frozenset({'BINGET', 'LONG_BINGET'})


@dataclasses.dataclass(frozen=True)
class Name:
  """A dotted name that a pickle mentions; never looked up."""

  module: str
  name: str

  def __str__(self) -> str:
    return f'{self.module}.{self.name}'


class Opaque:
  """Stands for a value that weights do not need, such as NumPy's scalars."""


@dataclasses.dataclass(frozen=True)
class Rules:
  """Allowed contents of a pickle besides plain data.

  Attributes:
    allows: returns whether it may mention a name.
    call: `call(name, args)`, the value of a call of an allowed name.
    persistent: the value of a persistent id.
  """

  allows: Callable[[Name], bool]
  call: Callable[[Name, tuple], Any]
  persistent: Callable[[Any], Any]


class Window:
  """A file whose reads never ask for more than is left of it or of a limit.

  `pickletools` trusts lengths that stand in the file; a plain file object
  would allocate them first.
  """

  def __init__(self, file: BinaryIO, size: int):
    self._file = file
    self._left = min(size, MAX_BYTES)

  def read(self, count: int) -> bytes:
    """Returns at most `count` bytes."""
    data = self._file.read(max(0, min(count, self._left)))
    self._left -= len(data)
    return data

  def readline(self) -> bytes:
    """Returns the bytes up to a line's end."""
    data = self._file.readline(self._left)
    self._left -= len(data)
    return data

  def tell(self) -> int:
    """Returns the position in the file."""
    return self._file.tell()


def load(window: Window, rules: Rules) -> Any:
  """Returns the value of the next pickle of a file.

  Args:
    window: where it is read from; stands behind it afterwards.
    rules: allowed contents besides plain data.

  Raises:
    ValueError: for anything malformed or not allowed.
  """
  machine = _Machine(rules)
  try:
    # Of a file it calls the three methods that a window has.
    instructions = pickletools.genops(window)  # type: ignore[arg-type]
    for count, (opcode, arg, position) in enumerate(instructions):
      if opcode.name == 'STOP':
        return machine.pop()
      if count == MAX_INSTRUCTIONS:
        raise ValueError(f'a pickle of more than {count} instructions; refused')
      machine.run(opcode.name, arg, position)
  except (IndexError, KeyError, TypeError) as error:
    raise ValueError(f'malformed pickle ({error!r})') from error
  raise ValueError('the pickle does not end')


class _Machine:
  """The stack and the memo of one pickle."""

  def __init__(self, rules: Rules):
    self._rules = rules
    self._stack: list[Any] = []
    self._memo: dict[int, Any] = {}
    self._pairs_left = MAX_COPIED_PAIRS

  def pop(self) -> Any:
    """Takes the top of the stack, which must not be a mark."""
    value = self._stack.pop()
    if value is _MARK:
      raise ValueError('malformed pickle (a mark in place of a value)')
    return value

  def run(self, opcode: str, arg: Any, position: int | None) -> None:
    """Executes one instruction."""
    push = self._stack.append
    if opcode in ('PROTO', 'FRAME'):
      if opcode == 'PROTO' and arg > MAX_PROTOCOL:
        raise ValueError(f'pickle protocol {arg} is not known')
      return
    if opcode in _LITERALS:
      push(arg)
    elif opcode in _CONSTANTS:
      push(_CONSTANTS[opcode])
    elif opcode in _EMPTY:
      push(_EMPTY[opcode]())
    elif opcode == 'MARK':
      push(_MARK)
    elif opcode in _PUT:
      self._memo[len(self._memo) if arg is None else arg] = self._top(object)
    elif opcode in _GET:
      push(self._memo[arg])
    elif opcode in _SMALL_TUPLES:
      push(tuple([self.pop() for _ in range(_SMALL_TUPLES[opcode])][::-1]))
    elif opcode == 'TUPLE':
      push(tuple(self._pop_to_mark()))
    elif opcode in ('APPEND', 'APPENDS'):
      items = [self.pop()] if opcode == 'APPEND' else self._pop_to_mark()
      self._top(list).extend(items)
    elif opcode in ('SETITEM', 'SETITEMS'):
      value = [self.pop()] if opcode == 'SETITEM' else self._pop_to_mark()
      items = [self.pop(), *value] if opcode == 'SETITEM' else value
      self._set_items(self._top(dict), items)
    elif opcode in ('GLOBAL', 'STACK_GLOBAL'):
      push(self._name(arg))
    elif opcode == 'REDUCE':
      args = self.pop()
      push(self._call(self.pop(), args))
    elif opcode == 'BUILD':
      # Attributes of a dictionary (a state dict's `_metadata`): not kept.
      self.pop()
      self._top(dict, Opaque)
    elif opcode == 'BINPERSID':
      push(self._rules.persistent(self.pop()))
    else:
      raise ValueError(
        f'pickle instruction {opcode} at byte {position}: weight files do '
        'not need it; refused'
      )

  def _top(self, *kinds: type) -> Any:
    if self._stack[-1] is _MARK:
      raise ValueError('malformed pickle (a mark in place of a value)')
    if not isinstance(self._stack[-1], kinds):
      raise ValueError(f'malformed pickle (expected a {kinds[0].__name__})')
    return self._stack[-1]

  def _pop_to_mark(self) -> list[Any]:
    at = len(self._stack) - 1
    while self._stack[at] is not _MARK:
      at -= 1
      if at < 0:
        raise ValueError('malformed pickle (no mark)')
    values = self._stack[at + 1 :]
    del self._stack[at:]
    return values

  def _set_items(self, target: dict, items: list[Any]) -> None:
    if len(items) % 2:
      raise ValueError('malformed pickle (a key without a value)')
    for key, value in zip(items[::2], items[1::2]):
      if not isinstance(key, (str, int)):
        raise ValueError(f'a dictionary key of type {type(key).__name__}')
      if isinstance(key, int) and abs(key) >= MAX_KEY:
        raise ValueError(f'a dictionary key beyond {MAX_KEY}')
      target[key] = value

  def _name(self, arg: str | None) -> Name:
    if arg is None:
      name = self.pop()
      module = self.pop()
    else:
      module, _, name = arg.partition(' ')
    if not (isinstance(module, str) and isinstance(name, str)):
      raise ValueError('malformed pickle (a name that is no string)')
    found = Name(module, name)
    if not (_is_ordered_dict(found) or self._rules.allows(found)):
      raise ValueError(
        f'the file asks for {found}, which is not part of a weight file; '
        'refused, nothing was executed'
      )
    return found

  def _call(self, function: Any, args: Any) -> Any:
    if not (isinstance(function, Name) and isinstance(args, tuple)):
      raise ValueError('a call of something that is not a name; refused')
    if not _is_ordered_dict(function):
      return self._rules.call(function, args)
    # Python 3 fills it afterwards, Python 2 wrote its pairs as the argument.
    if len(args) > 1 or args and not isinstance(args[0], (list, tuple)):
      raise ValueError('malformed pickle (a dictionary of no list of pairs)')
    pairs = args[0] if args else []
    self._pairs_left -= len(pairs)
    if self._pairs_left < 0:
      raise ValueError('a dictionary is copied again and again; refused')
    result: dict = {}
    for key, value in pairs:
      self._set_items(result, [key, value])
    return result


def _is_ordered_dict(name: Name) -> bool:
  return name == Name('collections', 'OrderedDict')
