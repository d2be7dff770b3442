"""Event files of TensorBoard without the steps that are trained again."""

from __future__ import annotations

import pathlib
import struct

from google.protobuf import message
from tensorboard.compat.proto import event_pb2

from uda_jax import files

# A record: length, its checksum, content, the content's checksum.
_HEAD, _TAIL = 12, 4


def drop_after(folder: pathlib.Path, step: int) -> None:
  """Removes the points of later steps from the event files of a folder.

  A run that was killed trains the steps after its last checkpoint again, and
  their points would stand twice.

  Args:
    folder: with event files; nothing may write to them.
    step: the last step that stays.
  """
  for path in folder.glob('events.out.tfevents.*'):
    content = path.read_bytes()
    kept = b''.join(
      record for number, record in _records(content) if number <= step
    )
    if kept != content:
      files.write_atomically(path, kept)


def _records(content: bytes) -> list[tuple[int, bytes]]:
  """Returns the records of an event file, each with its step.

  An unfinished last one is left out, and what follows damage (of a power
  failure), which TensorBoard cannot pass either.
  """
  records, start = [], 0
  while start + _HEAD <= len(content):
    (length,) = struct.unpack_from('<Q', content, start)
    end = start + _HEAD + length + _TAIL
    if end > len(content):
      break
    try:
      event = event_pb2.Event.FromString(content[start + _HEAD : end - _TAIL])
    except message.DecodeError:
      break
    records.append((event.step, content[start:end]))
    start = end
  return records
