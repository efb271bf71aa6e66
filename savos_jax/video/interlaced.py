"""Deinterlaces frames.

Uses FFmpeg's bwdif, which also looks at the previous and the next frame. Each
frame becomes one frame, so numbers and timestamps do not change.
"""

import collections
from collections.abc import Iterator
from typing import Any

from savos_jax.video import pyav

Numbered = tuple[int, float | None, Any]  # Number, seconds, frame of PyAV.


class _Filter:
  """Makes frames whole, each when the next one has come."""

  def __init__(self, frame: Any):
    """Creates the filter for frames like this one."""
    self._waiting: collections.deque[tuple[int, float | None]]
    self._waiting = collections.deque()
    self._graph = pyav.get().filter.Graph()
    self._graph.link_nodes(
      self._graph.add_buffer(template=frame, time_base=frame.time_base),
      self._graph.add('bwdif', mode='send_frame', deint='interlaced'),
      self._graph.add('buffersink'),
    )
    self._graph.configure()

  def push(self, numbered: Numbered) -> Iterator[Numbered]:
    """Adds a frame; yields frames that are complete."""
    number, seconds, frame = numbered
    self._waiting.append((number, seconds))
    self._graph.push(frame)
    yield from self._pulled()

  def end(self) -> Iterator[Numbered]:
    """Yields the remaining frames."""
    self._graph.push(None)
    yield from self._pulled()

  def _pulled(self) -> Iterator[Numbered]:
    try:
      while self._waiting:
        frame = self._graph.pull()
        yield (*self._waiting.popleft(), frame)
    except (BlockingIOError, EOFError):
      return


def _kind(frame: Any) -> tuple[int, int, str]:
  return frame.height, frame.width, frame.format.name


def progressive(frames: Iterator[Numbered]) -> Iterator[Numbered]:
  """Yields frames in order, deinterlacing those marked as interlaced.

  From the first of these on, each is yielded after the next one was read.

  Args:
    frames: of one video, in order.
  """
  whole, kind, before = None, None, None
  for numbered in frames:
    frame = numbered[2]
    if whole and kind != _kind(frame):
      yield from whole.end()
      whole = before = None
    if whole is None and frame.interlaced_frame:
      whole, kind = _Filter(frame), _kind(frame)
      if before is not None and _kind(before[2]) == kind:
        # What stands still is seen by it; it was yielded as it came.
        told = before
        for found in (*whole.push(before), *whole.push(numbered)):
          if found[0] != told[0]:
            yield found
        continue
    if whole:
      yield from whole.push(numbered)
    else:
      yield numbered
      before = numbered
  if whole:
    yield from whole.end()
