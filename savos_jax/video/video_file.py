"""Reads frames from a video file with PyAV (FFmpeg).

The number of a frame is its position among all frames of the file in temporal
order, decodable or not, so damage does not shift later frames.
"""

from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import fractions
import functools
import heapq
import logging
import pathlib
from typing import Any

import numpy as np

from savos_jax.foundation import errors
from savos_jax.video import interlaced
from savos_jax.video import pixels
from savos_jax.video import pyav

logger = logging.getLogger(__name__)

# What holds a video itself. The others are playlists, which name further files
# and addresses, and what FFmpeg makes a video of: pictures, texts, devices.
_DEMUXERS = (
  'mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,live_flv,'
  'ogg,asf,dv,mxf,rm,nut,wtv,gif,yuv4mpegpipe,mjpeg,vc1,3gp,swf,dxa,nsv,gxf'
)
# No demuxer may open another file: it would need one of these to do so.
_ALONE = {'protocol_whitelist': 'none'}
_BUFFER = 1 << 20  # Bytes that are read at once.
# Assumed where a file states no believable rate.
_FALLBACK_FPS = 25.0
_BELIEVABLE_FPS = (0.1, 480.0)
_TICKS = 1_000_000  # A second, in what containers say of themselves.
_MOST_ASPECT = 8  # Of a pixel.
# Containers count wrongly by a frame or two; more than this is missing.
_MISSING_FRAMES = 2
_MISSING_SHARE = 0.02


@dataclasses.dataclass(frozen=True)
class Facts:
  """The properties of a video file.

  Attributes:
    height: of its first frame as shown, pixels.
    width: of it, pixels.
    fps: frames a second as stated; 25 if implausible.
    length: number of frames according to the header; 0 if unknown.
    pixel_aspect: width of a pixel as shown, by its height.
    turn: display matrix of the frames, see `pixels.turned`.
  """

  height: int
  width: int
  fps: float
  length: int
  pixel_aspect: fractions.Fraction = fractions.Fraction(1)
  turn: bytes | None = None


@dataclasses.dataclass(frozen=True)
class Index:
  """The positions of the frames in a file.

  Attributes:
    stamps: timestamp of each frame, int64, ascending, in units of the stream.
    keys: timestamps of the key frames, int64, ascending.
    seconds: duration from the first to the last.
  """

  stamps: np.ndarray
  keys: np.ndarray
  seconds: float


@dataclasses.dataclass(frozen=True)
class Shown:
  """A frame.

  Attributes:
    index: its number, from 0.
    seconds: its timestamp in the file; None if there is none.
    image: RGB uint8 [H, W, 3].
  """

  index: int
  seconds: float | None
  image: np.ndarray


class Order:
  """Numbers decoded frames by the packets read before them.

  A decoder returns a frame only after all earlier ones were fed to it.

  Attributes:
    missing: numbers of frames that were not decoded, ascending.
    is_cut: whether nothing after them could be read.
  """

  def __init__(self):
    """Starts before the first packet."""
    self._waiting: list[int] = []  # Time stamps of packets, a heap.
    self._next = 0
    self.missing: list[int] = []
    self.is_cut = False

  def packet(self, stamp: int | None) -> None:
    """Adds a packet, by its timestamp."""
    if stamp is not None:
      heapq.heappush(self._waiting, stamp)

  def frame(self, stamp: int | None) -> int:
    """Returns the number of a frame; skipped ones are missing."""
    while self._waiting and stamp is not None and self._waiting[0] < stamp:
      heapq.heappop(self._waiting)
      self.missing.append(self._next)
      self._next += 1
    if self._waiting and self._waiting[0] == stamp:
      heapq.heappop(self._waiting)
    self._next += 1
    return self._next - 1

  def end(self) -> int:
    """Returns the total number of frames; undelivered ones are missing."""
    count = self._next + len(self._waiting)
    self.missing += range(self._next, count)
    return count


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[Any]:
  """Yields the container and its first video stream.

  Args:
    path: the file.

  Raises:
    SavosError: it cannot be read, or has no video.
  """
  with contextlib.ExitStack() as stack:
    try:
      # A file, not its name: FFmpeg reads protocols out of names.
      file = stack.enter_context(path.open('rb'))
      container = stack.enter_context(
        pyav.get().open(
          file,
          container_options=_ALONE | {'format_whitelist': _DEMUXERS},
          buffer_size=_BUFFER,
          metadata_errors='replace',
        )
      )
    except pyav.get().error.FFmpegError:
      raise _no_video(path) from None
    except OSError as error:
      raise errors.SavosError(
        f'{path}: {error.strerror}.\n  Expected a file that can be read.'
      ) from None
    # A cover is a stream of one picture.
    streams = [
      s for s in container.streams.video
      if not s.disposition & pyav.get().stream.Disposition.attached_pic
    ]  # fmt: skip
    if not streams:
      raise _no_video(path)
    yield container, streams[0]


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[Any]:
  """As `opened`, for what only reads: what fails is the file's damage."""
  with opened(path) as found:
    try:
      yield found
    except MemoryError:  # FFmpeg's, too: it has words of its own.
      raise
    except pyav.damage() as error:
      raise _no_video(path, f'damaged: {error}') from None


def _no_video(path: pathlib.Path, found: str = 'no video in it'):
  return errors.SavosError(
    f'{path}: {found} ({path.stat().st_size} bytes).\n'
    '  Expected a video file (mp4, mov, avi, webm, mkv, ...). An mp4 that was '
    'cut off in a copy or a recording reads like this: copy it again, or '
    're-encode it with a player that can read it.'
  )


def _decoded(packet) -> Iterator[Any]:
  """Yields what a packet completes; nothing where it is damaged."""
  try:
    yield from packet.decode()
  except (pyav.get().error.DecoderNotFoundError, MemoryError):
    raise  # No other packet fares better.
  except pyav.get().error.FFmpegError:  # Each decoder has its own for damage.
    return


def probe(path: pathlib.Path) -> Facts:
  """Returns the properties of a file, with the size of its first frame.

  Raises:
    SavosError: it cannot be read, has no video, or no frame can be decoded.
  """
  with _reading(path) as (container, stream):
    fps = _stated_fps(stream)
    low, high = _BELIEVABLE_FPS
    if not low <= fps <= high:  # Also NaN.
      logger.warning(
        '%s: states no frame rate; %g is assumed', path, _FALLBACK_FPS
      )
      fps = _FALLBACK_FPS
    length = _claimed(container, stream, fps)
    first = next(_frames(container, stream, Order()), None)
    if first is None:
      raise _no_video(path, 'no frame in it can be decoded')
    frame, aspect = first[2], _pixel_aspect(stream)
    height, width = frame.height, frame.width
    turn = pixels.display_matrix(frame)
    if pixels.is_turned_aside(turn):
      height, width, aspect = width, height, 1 / aspect
  return Facts(height, width, fps, length, aspect, turn)


def _pixel_aspect(stream) -> fractions.Fraction:
  """Returns a stored pixel's width by its height; 1 where none is told."""
  stated = stream.sample_aspect_ratio
  if stated and max(stated, 1 / stated) <= _MOST_ASPECT:
    return stated
  return fractions.Fraction(1)


def _stated_fps(stream) -> float:
  return float(stream.average_rate or stream.guessed_rate or 0)


def _claimed(container, stream, fps: float) -> int:
  """Returns how many frames the header claims: counted, or by duration."""
  if stream.frames:
    return stream.frames
  seconds = 0.0
  if stream.duration:
    seconds = float(stream.duration * stream.time_base)
  elif container.duration:  # The time at which the last of its streams ends.
    seconds = container.duration / _TICKS
    begin = float((stream.start_time or 0) * stream.time_base)
    seconds -= begin if begin < seconds else 0
  return max(0, round(seconds * fps))


def _frames(container, stream, order: Order) -> Iterator[interlaced.Numbered]:
  """Yields number, seconds and frame."""
  for packet in _packets(container, stream, order):
    if not packet.is_discard and packet.size:
      order.packet(packet.pts)
    for frame in _decoded(packet):
      yield order.frame(frame.pts), frame.time, frame


def _packets(container, stream, order: Order) -> Iterator[Any]:
  """Yields packets up to the end, or to where nothing can be read."""
  try:
    yield from container.demux(stream)
  except pyav.damage():
    order.is_cut = True


@functools.lru_cache(maxsize=16)
def _index(path: pathlib.Path, size: int, changed: int) -> Index | None:
  """Reads all packets and decodes none; None where they are not in order.

  Args:
    path: the file.
    size: of it, bytes; with the next one, so that a changed file is read again.
    changed: when it was changed, nanoseconds.
  """
  del size, changed
  order = Order()
  with _reading(path) as (container, stream):
    packets = [
      (packet.pts, packet.is_keyframe)
      for packet in _packets(container, stream, order)
      if packet.size and not packet.is_discard
    ]
    unit = float(stream.time_base)
  stamps = [stamp for stamp, _ in packets]
  unique = stamps and None not in stamps and len(set(stamps)) == len(stamps)
  if order.is_cut or not unique:
    return None
  keys = [stamp for stamp, is_key in packets if is_key]
  seconds = (max(stamps) - min(stamps)) * unit
  return Index(np.array(sorted(stamps)), np.array(sorted(keys)), seconds)


def index(path: pathlib.Path) -> Index | None:
  """Returns the index of a file.

  Returns:
    The index; None if frames have no timestamps.

  Raises:
    SavosError: as `probe`.
  """
  facts = path.stat()
  return _index(path, facts.st_size, facts.st_mtime_ns)


def count(path: pathlib.Path) -> int:
  """Returns the number of frames of a file, decodable or not.

  Raises:
    SavosError: as `probe`.
  """
  found = index(path)
  if found is not None:
    return len(found.stamps)
  order = Order()
  with _reading(path) as (container, stream):
    for _ in _frames(container, stream, order):
      pass
  return order.end()


def _jump(
  path: pathlib.Path, found: Index, start: int
) -> Iterator[interlaced.Numbered]:
  """Yields frame `start` and those after it, from the key frame before it.

  The one before it comes first, if it can be decoded: what is interlaced needs
  it. Nothing is yielded where the demuxer or the decoder lands elsewhere: then
  the file has to be decoded from its first frame.
  """
  if start >= len(found.stamps):
    return
  begin = max(0, start - 1)
  keys = found.keys[found.keys <= found.stamps[begin]]
  if not len(keys):
    return
  with _reading(path) as (container, stream):
    container.seek(int(keys[-1]), stream=stream)
    earlier = landed = False
    for packet in _packets(container, stream, Order()):
      for frame in _decoded(packet):
        number = int(np.searchsorted(found.stamps, frame.pts or 0))
        # A damaged frame before it may be passed over, by the decoder alone.
        landed = landed or number == begin or (earlier and number == start)
        earlier = True
        if number > start and not landed:
          return
        if landed:
          yield number, frame.time, frame


def frames(path: pathlib.Path, facts: Facts, start: int) -> Generator[Shown]:
  """Yields frame `start` and all later ones that can be decoded.

  Args:
    path: the file.
    facts: of it.
    start: 0 or more.

  Raises:
    Incomplete: after the last frame, if any from `start` on are missing.
    SavosError: it cannot be read.
  """
  found = index(path) if start else None
  converter = pixels.Converter(facts.turn)
  if found is not None:
    seen = []
    jumped = _jump(path, found, start)
    for number, seconds, frame in interlaced.progressive(jumped):
      if number >= start:
        seen.append(number)
        yield Shown(number, seconds, converter.rgb(frame))
    if seen:
      count = len(found.stamps)
      missing = sorted(set(range(start, count)) - set(seen))
      _check_whole(path, facts, count, missing, found.seconds)
      return
  order, last, base = Order(), 0.0, 0.0
  with _reading(path) as (container, stream):
    numbered = _frames(container, stream, order)
    for number, seconds, frame in interlaced.progressive(numbered):
      if seconds is not None:
        base = base if number else seconds
        last = seconds - base
      if number >= start:
        yield Shown(number, seconds, converter.rgb(frame))
  count = order.end()
  missing = [number for number in order.missing if number >= start]
  _check_whole(path, facts, count, missing, last, order.is_cut)


def _check_whole(
  path: pathlib.Path,
  facts: Facts,
  count: int,
  missing: Sequence[int],
  last: float,
  is_cut: bool = False,
) -> None:
  """Raises Incomplete if a file has fewer frames than it should have.

  Args:
    path: the file.
    facts: of it.
    count: its frames, decoded or not.
    missing: those that were not decoded.
    last: time of the last one, seconds after the first.
    is_cut: whether what comes behind it could not be read.
  """
  # Where a rate varies, the claim is a guess from the duration: there the time
  # says how far it came.
  reached = max(count, round(last * facts.fps) + 1)
  behind = facts.length - reached
  cut = ''
  if is_cut:
    cut = f'nothing can be read after frame {count - 1} ({last:.2f} s)'
  elif behind > max(_MISSING_FRAMES, _MISSING_SHARE * facts.length):
    if _sound_goes_on(path):
      pass
    elif _whole_boxes(path):
      logger.warning(
        '%s: %d frames came out of the %d that it counts: cut without '
        're-encoding, or damaged',
        path, count, facts.length,
      )  # fmt: skip
    else:
      cut = (
        f'decoding ended after frame {count - 1} ({last:.2f} s); the file '
        f'counts {facts.length} frames'
      )
  if missing or cut:
    raise incomplete(path, count, missing, cut)


def incomplete(
  path: pathlib.Path, count: int, missing: Sequence[int], cut: str = ''
) -> errors.Incomplete:
  """Returns the error that lists the missing frames.

  Args:
    path: the file.
    count: its frames, decoded or not.
    missing: those that were not decoded, ascending.
    cut: where the file ended, if too early.
  """
  lost = ''
  if missing:
    lost = (
      f'{len(missing)} of {count} frames could not be decoded: '
      f'{_ranges(missing)}'
    )
  return errors.Incomplete(
    f'{path}: {"; ".join(filter(None, (lost, cut)))}.\n'
    '  Expected a complete file; this one is cut off or damaged. Everything '
    'decodable was used; frames keep their numbers. Copy it again from its '
    'source.'
  )


def _ranges(numbers: Sequence[int]) -> str:
  """Writes ascending numbers: '3, 11 to 15'; the first few of many."""
  runs: list[list[int]] = []
  for number in numbers:
    if runs and number == runs[-1][-1] + 1:
      runs[-1] = [runs[-1][0], number]
    else:
      runs.append([number])
  shown = [' to '.join(map(str, run)) for run in runs[:8]]
  return ', '.join(shown) + ', ...' * (len(runs) > 8)


def _sound_goes_on(path: pathlib.Path) -> bool:
  """Whether other streams come to the end that a file states.

  Where it does not count frames, its duration is that of the longest stream.
  """
  last = 0.0
  with _reading(path) as (container, stream):
    duration = (container.duration or 0) / _TICKS
    others = [s for s in container.streams if s.index != stream.index]
    with contextlib.suppress(*pyav.damage()):
      for packet in container.demux(others) if others else ():
        if packet.pts is not None:
          ends = (packet.pts + (packet.duration or 0)) * packet.time_base
          last = max(last, float(ends))
  return last > 0 and last >= (1 - _MISSING_SHARE) * duration


def _whole_boxes(path: pathlib.Path) -> bool:
  """Whether it is an mp4 or mov none of whose outer boxes passes its end.

  Such a file may well give fewer frames than it counts: cutting without
  encoding again, as phones do, hides frames behind an edit list.
  Layout of a box: ISO/IEC 14496-12, 4.2.
  """
  size, position = path.stat().st_size, 0
  with path.open('rb') as file:
    while position < size:
      file.seek(position)
      head = file.read(16)
      if position == 0 and head[4:8] not in (b'ftyp', b'moov', b'wide'):
        return False
      length = int.from_bytes(head[:4])
      if length == 1:
        length = int.from_bytes(head[8:16])
      if length == 0:  # The last box may say "up to the end".
        return True
      if length < 8:
        return False
      position += length
  return position == size
