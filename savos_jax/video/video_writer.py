"""Videos written so that browsers play them; whole or not at all.

H.264 in mp4, by PyAV: OpenCV's wheels have no encoder of it, and their VP9
takes twenty times as long.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import fractions
import os
import pathlib
from typing import Any

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.video import pyav

_SUFFIX = '.mp4'
_MAX_FPS = 1000
# The index in front: a browser plays it before all is loaded.
_MUXER = {'movflags': 'faststart'}
# Constant quality, hardly told from the frames; fast, for what is looked at.
# Without mbtree: with AVX-512 x264's reads memory that nobody has written, and
# the same frames become other bytes each time.
_ENCODER = {'preset': 'veryfast', 'crf': '20', 'x264-params': 'mbtree=0'}


def _even(frame: np.ndarray) -> np.ndarray:
  """Repeats the last row or column of a frame of odd size (4:2:0 needs it)."""
  height, width = frame.shape[:2]
  return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')


def check(path: str | os.PathLike, fps: float) -> None:
  """Refuses a name or a rate, before any frame is made.

  Args:
    path: named .mp4.
    fps: frames a second, above 0, at most 1000.

  Raises:
    SavosError: another name or rate.
  """
  suffix = pathlib.Path(path).suffix
  if suffix.lower() != _SUFFIX:
    raise errors.SavosError(
      f'{path}: a video named {suffix or "without a suffix"}.\n'
      f'  Expected a name that ends in {_SUFFIX}.'
    )
  if not 0 < fps <= _MAX_FPS:
    raise errors.SavosError(
      f'{path}: {fps:g} frames a second.\n'
      f'  Expected a rate above 0 and at most {_MAX_FPS}; 25 is usual.'
    )


class VideoWriter:
  """Writes frames to an mp4 file one by one.

    with VideoWriter('out.mp4', fps=25) as writer:
      writer.write(frame)

  The file appears when the block ends, and not at all when it raises.

  Attributes:
    path: the file.
    count: frames written.
  """

  def __init__(self, path: str | os.PathLike, fps: float):
    """Checks the name and the rate; nothing is written yet.

    Args:
      path: named .mp4; the folder is made if need be.
      fps: frames a second, above 0, at most 1000.

    Raises:
      SavosError: another name or rate.
    """
    check(path, fps)
    self.path = pathlib.Path(path)
    self.count = 0
    self._cleanup = contextlib.ExitStack()
    self._container: Any = None
    self._stream: Any = None
    self._shape: tuple[int, ...] | None = None
    # 29.97 is 30000/1001.
    self._rate = fractions.Fraction(fps).limit_denominator(1001)

  def __enter__(self) -> 'VideoWriter':
    self._partial = self._cleanup.enter_context(files.replacing(self.path))
    return self

  def write(self, frame: np.ndarray) -> None:
    """Appends a frame.

    Args:
      frame: RGB uint8 [H, W, 3], all of one size; an odd side grows by a
        pixel.

    Raises:
      SavosError: the file can't be written.
      ValueError: a frame of another size than the first.
    """
    if self._shape is None:
      self._shape = frame.shape
      self._start(_even(frame).shape)
    elif frame.shape != self._shape:
      raise ValueError(f'a frame {frame.shape} after frames {self._shape}')
    picture = np.ascontiguousarray(_even(frame))
    self._encode(pyav.get().VideoFrame.from_ndarray(picture, format='rgb24'))
    self.count += 1

  def _start(self, shape: tuple[int, ...]) -> None:
    self._container = pyav.get().open(str(self._partial), 'w', options=_MUXER)
    self._stream = self._container.add_stream(
      'libx264', rate=self._rate, options=_ENCODER
    )
    self._stream.height, self._stream.width = shape[:2]
    self._stream.pix_fmt = 'yuv420p'

  def _encode(self, picture: Any) -> None:
    for packet in self._stream.encode(picture):
      self._container.mux(packet)

  def _finish(self) -> None:
    if not self.count:
      raise ValueError(f'{self.path}: no frames')
    self._encode(None)  # What the encoder has kept back.
    self._container.close()
    self._container = None

  def __exit__(self, kind, error, trace) -> None:
    # Its errors are the system's, and `files.replacing` reports them.
    with self._cleanup:
      try:
        if kind is None:
          self._finish()
        else:
          raise error
      finally:
        if self._container is not None:
          with contextlib.suppress(OSError):
            self._container.close()


def write_video(
  path: str | os.PathLike, frames: Iterable[np.ndarray], fps: float
) -> None:
  """Writes a video, atomically; makes the folder if needed.

  Args:
    path: the file, named .mp4.
    frames: RGB uint8 [H, W, 3], all of one size; an odd side grows by a pixel.
    fps: frames a second.

  Raises:
    SavosError: the file can't be written.
    ValueError: no frame, or a frame of another size than the first.
  """
  with VideoWriter(path, fps) as writer:
    for frame in frames:
      writer.write(frame)


def join(parts: Sequence[str | os.PathLike], path: str | os.PathLike) -> None:
  """Joins videos one behind the other, without encoding again, atomically.

  Args:
    parts: of `VideoWriter`, at least one, all of one size and rate.
    path: the file, named .mp4.

  Raises:
    SavosError: the file can't be written.
  """
  with (
    files.replacing(path) as partial,
    pyav.get().open(str(partial), 'w', options=_MUXER) as joined,
  ):
    stream, start = None, 0
    for part in parts:
      with pyav.get().open(str(part)) as container:
        (source,) = container.streams.video
        stream = stream or joined.add_stream_from_template(source)
        for packet in container.demux(source):
          if packet.dts is None:  # The demuxer's word that it has ended.
            continue
          packet.pts, packet.dts = packet.pts + start, packet.dts + start
          packet.stream = stream
          joined.mux(packet)
        ticks = 1 / (source.average_rate * source.time_base)
        start += round(source.frames * ticks)
