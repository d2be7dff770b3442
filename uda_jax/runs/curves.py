"""Event files of TensorBoard without the steps that are trained again."""

from __future__ import annotations

import pathlib
import struct

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
      record for record in _records(content) if _step(record) <= step
    )
    if kept != content:
      files.write_atomically(path, kept)


def _records(content: bytes) -> list[bytes]:
  """Splits an event file; an unfinished last record is left out."""
  records, start = [], 0
  while start + _HEAD <= len(content):
    (length,) = struct.unpack_from('<Q', content, start)
    end = start + _HEAD + length + _TAIL
    if end > len(content):
      break
    records.append(content[start:end])
    start = end
  return records


def _step(record: bytes) -> int:
  return event_pb2.Event.FromString(record[_HEAD:-_TAIL]).step
