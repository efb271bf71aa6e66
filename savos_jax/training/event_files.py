"""TensorBoard's event files, written and read without TensorFlow.

A file has a TFRecord for each `Event`, a protobuf with the step, and tags with
tensors of numbers or pictures. The writers of TensorFlow and clu use the same
format.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import os
import pathlib
import socket
import struct
import time
from typing import Any
from typing import BinaryIO
from typing import NamedTuple

import cv2
from google.protobuf import message
import numpy as np
from tensorboardX import record_writer
from tensorboardX.proto import event_pb2
from tensorboardX.proto import summary_pb2
from tensorboardX.proto import tensor_pb2
from tensorboardX.proto import tensor_shape_pb2
from tensorboardX.proto import types_pb2

from savos_jax.foundation import errors
from savos_jax.foundation import files

PATTERN = 'events.out.tfevents.*'
_VERSION = 'brain.Event:2'
# Layout of a record: length and its checksum, the bytes, their checksum.
_LENGTH = struct.Struct('<Q')
_CHECKSUM = struct.Struct('<I')


class Writer:
  """Writes a new event file, without buffering."""

  def __init__(self, folder: pathlib.Path):
    """Creates the file.

    Args:
      folder: where to put it; created if absent.

    Raises:
      SavosError: the file can't be written.
    """
    now = time.time_ns()
    name = f'{now // 10**9}.{socket.gethostname()}.{now}'
    self._path = folder / PATTERN.replace('*', name)
    try:
      folder.mkdir(parents=True, exist_ok=True)
      self._records = record_writer.RecordWriter(str(self._path))
    except OSError as error:
      raise self._unwritten(error) from None
    self._write(file_version=_VERSION)

  def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
    """Writes scalars for a step, by tag.

    Raises:
      SavosError: the disk is full.
    """
    self._write_tensors(
      step,
      'scalars',
      {
        tag: tensor_pb2.TensorProto(
          dtype=types_pb2.DT_FLOAT, float_val=[float(value)]
        )
        for tag, value in scalars.items()
      },
    )

  def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Writes pictures for a step, RGB uint8 [H, W, 3], by tag.

    Raises:
      SavosError: the disk is full.
    """
    self._write_tensors(
      step, 'images', {tag: _picture(image) for tag, image in images.items()}
    )

  def close(self) -> None:
    """Closes the file."""
    self._records.close()

  def _write_tensors(self, step, plugin, tensors) -> None:
    data = summary_pb2.SummaryMetadata.PluginData(plugin_name=plugin)
    metadata = summary_pb2.SummaryMetadata(plugin_data=data)
    values = [
      summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
      for tag, tensor in tensors.items()
    ]
    self._write(step=step, summary=summary_pb2.Summary(value=values))

  def _write(self, **fields) -> None:
    event = event_pb2.Event(wall_time=time.time(), **fields)
    try:
      self._records.write(event.SerializeToString())
      self._records.flush()
    except OSError as error:
      # Closing would try to write the buffer again, and fail again.
      with contextlib.suppress(OSError):
        self._records.close()
      raise self._unwritten(error) from None

  def _unwritten(self, error: OSError) -> errors.SavosError:
    return errors.SavosError(
      f'{self._path}: the curves could not be written: {error.strerror}.\n'
      '  Expected a writable folder and space on its disk.'
    )


def _picture(image: np.ndarray) -> tensor_pb2.TensorProto:
  """Returns width, height and PNG, as TensorBoard expects."""
  height, width, _ = image.shape
  _, png = cv2.imencode('.png', image[..., ::-1])
  return tensor_pb2.TensorProto(
    dtype=types_pb2.DT_STRING,
    tensor_shape=tensor_shape_pb2.TensorShapeProto(
      dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=3)]
    ),
    string_val=[b'%d' % width, b'%d' % height, png.tobytes()],
  )


class Scalar(NamedTuple):
  """A scalar that was logged.

  Attributes:
    time: when it was written, seconds since 1970.
    step: training step.
    tag: its name.
    value: its value.
  """

  time: float
  step: int
  tag: str
  value: float


def read_scalars(path: pathlib.Path) -> Iterator[Scalar]:
  """Yields the scalars of an event file in order, whichever program wrote it.

  Everything after a damaged or truncated record is ignored: a training that is
  killed leaves such a record at the end.
  """
  for event in _events(path):
    for value in event.summary.value:
      tensor = value.tensor
      if tensor.dtype == types_pb2.DT_FLOAT and not tensor.tensor_shape.dim:
        content = tensor.tensor_content
        content = content[: len(content) // 4 * 4]
        numbers = tensor.float_val or np.frombuffer(content, '<f4')
        for number in numbers[:1]:
          yield Scalar(event.wall_time, event.step, value.tag, float(number))


def drop_from(folder: pathlib.Path, step: int) -> None:
  """Removes what was logged for a step and later ones.

  A training that resumes from an earlier checkpoint is about to repeat them;
  with both sets of values, curves would jump back.

  Args:
    folder: contains the event files.
    step: the first step to be repeated.

  Raises:
    SavosError: a file can't be written.
  """
  for path in sorted(folder.glob(PATTERN)):
    events = list(_events(path))
    kept = [event for event in events if event.step < step]
    if len(kept) == len(events):
      continue
    with files.replacing(path) as partial:
      records = record_writer.RecordWriter(str(partial))
      for event in kept:
        records.write(event.SerializeToString())
      records.close()


def _events(path: pathlib.Path) -> Iterator[event_pb2.Event]:
  found = files.problem(path)
  if found:
    raise errors.SavosError(
      f'{path}: {found}.\n  Expected a readable TensorBoard event file.'
    )
  with path.open('rb') as file:
    while head := _checked(file, _LENGTH.size):
      record = _checked(file, *_LENGTH.unpack(head))
      if record is None:
        return
      try:
        event = event_pb2.Event.FromString(record)
      except message.DecodeError:
        return
      yield event


def _checked(file: BinaryIO, size: int) -> bytes | None:
  """Reads `size` bytes; returns None if their checksum does not match."""
  if size > os.fstat(file.fileno()).st_size:
    return None
  data, checksum = file.read(size), file.read(_CHECKSUM.size)
  expected = _CHECKSUM.pack(record_writer.masked_crc32c(data))
  return data if checksum == expected else None
