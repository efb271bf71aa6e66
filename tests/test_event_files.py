"""Files for TensorBoard: what it finds in them, and what is left of damage."""

import os
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from tensorboardX import record_writer

from savos_jax.foundation import errors
from savos_jax.training import event_files
from savos_jax.training import metric_writing

event_accumulator = pytest.importorskip(
  'tensorboard.backend.event_processing.event_accumulator',
  reason='tensorboard is not installed',
)
tensor_util = pytest.importorskip('tensorboard.util.tensor_util')


def read(path):
  return [(s.tag, s.step, s.value) for s in event_files.read_scalars(path)]


def write(folder, rows):
  """Writes a file, step -> curves, and returns its path."""
  writer = event_files.Writer(folder)
  for step, values in rows.items():
    writer.write_scalars(step, values)
  writer.close()
  return max(folder.iterdir())


def test_tensorboard_finds_numbers_and_pictures(tmp_path):
  picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
  writer = event_files.Writer(tmp_path / 'logs')
  writer.write_scalars(3, {'validation/J&F': np.float32(0.1), 'loss': 2})
  writer.write_images(4, {'validation/bear': picture})
  # All is there before the end: a training may be killed.
  events = event_accumulator.EventAccumulator(str(tmp_path / 'logs')).Reload()
  for tag, expected in (('validation/J&F', np.float32(0.1)), ('loss', 2)):
    (event,) = events.Tensors(tag)
    assert event.step == 3
    assert tensor_util.make_ndarray(event.tensor_proto) == expected
    data = events.SummaryMetadata(tag).plugin_data
    assert data.plugin_name == 'scalars'
  (event,) = events.Tensors('validation/bear')
  width, height, png = tensor_util.make_ndarray(event.tensor_proto)
  assert (event.step, int(width), int(height)) == (4, 5, 4)
  found = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
  np.testing.assert_array_equal(found[..., ::-1], picture)
  plugin = events.SummaryMetadata('validation/bear').plugin_data.plugin_name
  assert plugin == 'images'
  writer.close()


def test_pictures_are_no_curves(tmp_path):
  writer = event_files.Writer(tmp_path)
  writer.write_images(1, {'bear': np.zeros((2, 3, 3), np.uint8)})
  writer.write_scalars(1, {'iou': 0.5})
  writer.close()
  (path,) = tmp_path.iterdir()
  assert read(path) == [('iou', 1, 0.5)]


def test_each_writer_has_a_file_of_its_own(tmp_path):
  for step in (1, 2):
    write(tmp_path, {step: {'iou': 0.5}})
  paths = sorted(tmp_path.glob(event_files.PATTERN))
  found = [read(path) for path in paths]
  assert found == [[('iou', 1, 0.5)], [('iou', 2, 0.5)]]


def test_what_lies_before_damage_is_read(tmp_path):
  path = write(tmp_path, {step: {'iou': step / 4} for step in (1, 2, 3)})
  whole = path.read_bytes()
  size = (len(whole) - whole.index(b'iou')) // 3
  expected = [('iou', 1, 0.25), ('iou', 2, 0.5)]
  for damaged in (
    whole[: -size // 2],  # Killed in the middle of a record.
    whole[:-size] + bytes(size),  # Power cut: its blocks were never written.
    whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:],
  ):
    path.write_bytes(damaged)
    assert read(path) == expected
  path.write_text('something else, of some length')
  assert not read(path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
  (tmp_path / 'logs').write_text('a file in the way')
  with pytest.raises(errors.SavosError, match='curves could not be written'):
    event_files.Writer(tmp_path / 'logs')


def test_clu_writes_where_it_is_installed(tmp_path, monkeypatch):
  hidden = []
  monkeypatch.setattr(
    metric_writing.tf_loader, 'hide_accelerators', lambda: hidden.append(1)
  )
  assert 'clu' in type(metric_writing.open_writer(tmp_path)).__module__
  assert hidden  # TensorFlow would take the accelerators' memory.


_WITHOUT_TENSORFLOW = """
import pathlib, sys
for name in ('tensorflow', 'clu', 'tensorboard'):
  sys.modules[name] = None
import numpy as np
from savos_jax.training import curves
from savos_jax.training import metric_writing
workdir = pathlib.Path(sys.argv[1])
writer = metric_writing.open_writer(workdir / 'logs')
writer.write_scalars(20, {'iou': 0.5})
writer.write_images(20, {'validation/bear': np.zeros((2, 3, 3), np.uint8)})
writer.close()
print(curves.read(workdir))
"""


def test_curves_are_written_and_read_without_tensorflow(tmp_path):
  from clu import metric_writers

  writer = metric_writers.SummaryWriter(str(tmp_path / 'logs'))
  writer.write_scalars(10, {'iou': 0.25})
  writer.close()
  done = subprocess.run(
    [sys.executable, '-c', _WITHOUT_TENSORFLOW, str(tmp_path)],
    capture_output=True, text=True, check=True,
  )  # fmt: skip
  assert done.stdout.strip() == "{'iou': {10: 0.25, 20: 0.5}}"


def test_steps_that_are_taken_again_are_there_once(tmp_path):
  """Of a training that was killed after step 4 and goes on after step 2."""
  for first, last in ((1, 4), (3, 5)):
    writer = metric_writing.open_writer(tmp_path, first if first > 1 else 0)
    for step in range(first, last + 1):
      writer.write_scalars(step, {'loss': step / 8})
    writer.close()
    time.sleep(1.1)  # Files are read in the order of their names, in seconds.
  events = event_accumulator.EventAccumulator(
    str(tmp_path), size_guidance={event_accumulator.TENSORS: 0}
  ).Reload()
  assert [event.step for event in events.Tensors('loss')] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
  ('size', 'record'), [(1 << 62, b''), (3, b'\xff' * 3), (0, b'')]
)
def test_what_is_behind_a_false_record_is_left_out(tmp_path, size, record):
  """Its checksums are right, of a length that is not, and of no event."""
  path = write(tmp_path, {1: {'loss': 2}})
  parts = (event_files._LENGTH.pack(size), record)
  with path.open('ab') as file:
    for part in parts:
      checksum = record_writer.masked_crc32c(part)
      file.write(part + event_files._CHECKSUM.pack(checksum))
  assert read(path) == [('loss', 1, 2.0)]


def test_a_pipe_is_not_waited_for(tmp_path):
  path = tmp_path / 'events.out.tfevents.1'
  os.mkfifo(path)
  with pytest.raises(errors.SavosError, match=f'{path}: a pipe'):
    read(path)
