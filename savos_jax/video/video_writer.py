"""Writes videos that other programs can play, atomically.

Uses PyAV, because OpenCV's wheels cannot encode H.264 or alpha channels, and
their VP9 is twenty times slower.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import fractions
import heapq
import logging
import operator
import os
import pathlib
from typing import Any

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.video import pyav
from savos_jax.video import sound as sound_lib

logger = logging.getLogger(__name__)

_MAX_FPS = 1000
# What a frame may last, seconds; times that say more are damaged.
_LONGEST = 3600
# By ISO/IEC 23091-2: what players take for granted, told even so.
_BT709, _LIMITED = 1, 1
_SQUARE = fractions.Fraction(1)


@dataclasses.dataclass(frozen=True)
class Format:
  """How a video is encoded.

  Attributes:
    encoder: FFmpeg's name.
    options: of the encoder.
    pixels: FFmpeg's name of the pixel format.
    muxer: options of the container.
    unit: timestamps a second.
    delay: number of frames by which decoding precedes display.
    alpha: whether frames are RGBA.
    even: whether sides must be even.
    tells_aspect: whether it can store a pixel aspect ratio.
    sounds: the audio that the container and its players support.
  """

  encoder: str
  options: dict[str, str]
  pixels: str
  muxer: dict[str, str]
  unit: int
  delay: int
  alpha: bool
  even: bool
  tells_aspect: bool
  sounds: sound_lib.Kinds


# The index in front: a browser plays it before all is loaded. A clock as fine
# as the frames': it has milliseconds elsewhere.
_MOV = {'movflags': 'faststart', 'movie_timescale': '90000'}
_AAC = ('aac', 'mp3', 'ac3', 'eac3', 'alac')
FORMATS = {
  # Constant quality, hardly told from the frames; fast, for what is looked at.
  # Without mbtree: with AVX-512 x264's reads memory that nobody has written,
  # and the same frames become other bytes each time.
  '.mp4': Format(
    'libx264',
    {'preset': 'veryfast', 'crf': '20', 'x264-params': 'mbtree=0'},
    'yuv420p',
    _MOV,
    unit=90000,
    delay=2,
    alpha=False,
    even=True,
    tells_aspect=True,
    sounds=sound_lib.Kinds((*_AAC, 'opus', 'flac'), 'aac'),
  ),
  # What video editors take; alpha without loss.
  '.mov': Format(
    'prores_ks',
    {'profile': '4444', 'alpha_bits': '16', 'vendor': 'apl0'},
    'yuva444p10le',
    _MOV,
    unit=90000,
    delay=0,
    alpha=True,
    even=False,
    tells_aspect=True,
    sounds=sound_lib.Kinds((*_AAC, 'pcm_s16le', 'pcm_s24le'), 'aac'),
  ),
  # What browsers take. Without look-ahead, which alpha does without.
  '.webm': Format(
    'libvpx-vp9',
    {
      'crf': '20',
      'b': '0',
      'deadline': 'realtime',
      'cpu-used': '6',
      'row-mt': '1',
      'auto-alt-ref': '0',
      'lag-in-frames': '0',
    },
    'yuva420p',
    {'fflags': '+bitexact'},  # No number at random in it.
    unit=1000,
    delay=0,
    alpha=True,
    even=False,
    tells_aspect=False,
    sounds=sound_lib.Kinds(('opus', 'vorbis'), 'libopus', preroll=False),
  ),
}


def _even(frame: np.ndarray) -> np.ndarray:
  """Repeats the last row or column of a frame of odd size (4:2:0 needs it)."""
  height, width = frame.shape[:2]
  return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')


def _format(path: str | os.PathLike) -> Format:
  return FORMATS[pathlib.Path(path).suffix.lower()]


def check(path: str | os.PathLike, fps: float) -> None:
  """Checks a name and a rate before any frame is made.

  Args:
    path: named .mp4, .mov or .webm.
    fps: frames a second, above 0, at most 1000.

  Raises:
    SavosError: the name or rate is not supported.
  """
  suffix = pathlib.Path(path).suffix
  if suffix.lower() not in FORMATS:
    raise errors.SavosError(
      f'{path}: a video named {suffix or "without a suffix"}.\n'
      f'  Expected a name that ends in {", ".join(FORMATS)}.'
    )
  if not 0 < fps <= _MAX_FPS:
    raise errors.SavosError(
      f'{path}: {fps:g} frames a second.\n'
      f'  Expected a rate above 0 and at most {_MAX_FPS}; 25 is usual.'
    )


def _rate(fps: float) -> fractions.Fraction:
  return fractions.Fraction(fps).limit_denominator(1001)  # 29.97: 30000/1001.


def _step(format_: Format, fps: float) -> int:
  """Returns the time stamps from a frame to the next."""
  return max(1, round(format_.unit / _rate(fps)))


def _follows(stamp: int, last: int, unit: int) -> bool:
  """Whether a frame may be shown at a time, `last` being the one before it."""
  return 0 < stamp - last <= _LONGEST * unit


class VideoWriter:
  """Writes frames to a video file one by one.

    with VideoWriter('out.mp4', fps=25) as writer:
      writer.write(frame)

  The file appears when the block ends, and not at all if it raises. Colours are
  BT.709 with limited range, and tagged as such.

  Attributes:
    path: the file.
    count: frames written.
  """

  def __init__(
    self,
    path: str | os.PathLike,
    fps: float,
    pixel_aspect: fractions.Fraction = _SQUARE,
  ):
    """Checks the name and the rate; nothing is written yet.

    Args:
      path: named .mp4 (H.264), .mov (ProRes 4444) or .webm (VP9); its folder is
        created if necessary.
      fps: frames a second, above 0, at most 1000.
      pixel_aspect: displayed width of a pixel by its height. WebM, which cannot
        store it here, gets frames of another width.

    Raises:
      SavosError: the name or rate is not supported.
    """
    check(path, fps)
    self.path = pathlib.Path(path)
    self.count = 0
    self._format = _format(path)
    self._aspect = pixel_aspect
    self._cleanup = contextlib.ExitStack()
    self._container: Any = None
    self._stream: Any = None
    self._reformatter = pyav.get().video.reformatter.VideoReformatter()
    self._shape: tuple[int, ...] | None = None
    self._last: int | None = None  # The time stamp of the frame before.
    self._fps = fps

  def __enter__(self) -> 'VideoWriter':
    self._partial = self._cleanup.enter_context(files.replacing(self.path))
    return self

  def write(self, frame: np.ndarray, seconds: float | None = None) -> None:
    """Appends a frame.

    Args:
      frame: RGB uint8 [H, W, 3] or, in a .mov or .webm, RGBA [H, W, 4], not
        premultiplied. All of one size; in an .mp4 an odd side grows by a pixel.
      seconds: its timestamp, 0 or more and later than the previous one. If
        None, not later, or more than an hour later, the rate determines it.

    Raises:
      SavosError: the file cannot be written.
      ValueError: the frame differs in size from the first, or in channels from
        the format.
    """
    if self._shape is None:
      self._shape = frame.shape
      self._start(frame.shape)
    elif frame.shape != self._shape:
      raise ValueError(f'a frame {frame.shape} after frames {self._shape}')
    picture = _even(frame) if self._format.even else frame
    made = pyav.get().VideoFrame.from_ndarray(
      np.ascontiguousarray(picture),
      format='rgba' if self._format.alpha else 'rgb24',
    )
    encoded = self._reformatter.reformat(
      made,
      width=self._stream.width,
      format=self._format.pixels,
      dst_colorspace=_BT709,
      dst_color_range=_LIMITED,
      threads=1,  # With more the alpha channel is not always the same.
    )
    encoded.pts = self._last = self._stamp(seconds)
    encoded.time_base = fractions.Fraction(1, self._format.unit)
    self._encode(encoded)
    self.count += 1

  def _stamp(self, seconds: float | None) -> int:
    unit = self._format.unit
    if seconds is None:
      seconds = self.count / _rate(self._fps)
    wanted = max(0, round(unit * seconds))
    if self._last is None or _follows(wanted, self._last, unit):
      return wanted
    return self._last + _step(self._format, self._fps)

  def _start(self, shape: tuple[int, ...]) -> None:
    height, width, channels = shape
    if channels != 3 + self._format.alpha:
      raise ValueError(f'frames {shape} for {self.path}')
    grow, aspect = 1 if self._format.even else 0, self._aspect
    if not self._format.tells_aspect:
      width, aspect = max(1, round(width * aspect)), _SQUARE
    self._container = pyav.get().open(
      str(self._partial), 'w', options=self._format.muxer
    )
    self._stream = self._container.add_stream(
      self._format.encoder, rate=_rate(self._fps), options=self._format.options
    )
    context = self._stream.codec_context
    context.height = height + (height & grow)
    context.width = width + (width & grow)
    context.pix_fmt = self._format.pixels
    context.time_base = fractions.Fraction(1, self._format.unit)
    context.sample_aspect_ratio = aspect
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED

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
  """Writes a video atomically, creating its folder if necessary.

  Args:
    path: the file, named .mp4, .mov or .webm.
    frames: as `VideoWriter.write` takes them.
    fps: frames a second.

  Raises:
    SavosError: the file cannot be written.
    ValueError: there is no frame, or one differs in size from the first.
  """
  with VideoWriter(path, fps) as writer:
    for frame in frames:
      writer.write(frame)


def _stamps(part: str | os.PathLike) -> list[int]:
  """Returns the time stamps of a part's frames, ascending."""
  with pyav.get().open(str(part)) as container:
    (stream,) = container.streams.video
    packets = container.demux(stream)
    return sorted(packet.pts for packet in packets if packet.size)


def _joined(
  parts: Sequence[str | os.PathLike], stream: Any, format_: Format, step: int
) -> Iterator[tuple[float, Any]]:
  """Yields the packets of all parts for a stream, and their seconds.

  The first frame is shown at 0.
  """
  last, shift, ahead = None, 0, []
  for part in parts:
    stamps = _stamps(part)
    if last is None:
      shift = -stamps[0]
      # Times of decoding are those of showing, behind by the delay.
      ahead = [-step * i for i in range(format_.delay, 0, -1)]
    elif not _follows(stamps[0] + shift, last, format_.unit):
      shift = last + step - stamps[0]
    last = stamps[-1] + shift
    with pyav.get().open(str(part)) as container:
      for packet in container.demux(video=0):
        if not packet.size:  # The demuxer's word that it has ended.
          continue
        packet.pts += shift
        packet.dts = heapq.heappushpop(ahead, packet.pts)
        packet.duration = step
        packet.stream = stream
        yield packet.dts / format_.unit, packet


def _write(
  partial: pathlib.Path,
  parts: Sequence[str | os.PathLike],
  fps: float,
  sound: pathlib.Path | None,
) -> None:
  """Joins parts into a file; see `join`."""
  format_ = _format(partial)
  step = _step(format_, fps)
  begin = _stamps(parts[0])[0] / format_.unit
  end = (_stamps(parts[-1])[-1] + step) / format_.unit
  with contextlib.ExitStack() as stack:
    open_ = pyav.get().open
    joined = stack.enter_context(
      open_(str(partial), 'w', options=format_.muxer)
    )
    with open_(str(parts[0])) as container:
      (source,) = container.streams.video
      stream = joined.add_stream_from_template(source, opaque=True)
      stream.metadata.update(source.metadata)
      aspect = source.sample_aspect_ratio  # Not every container's is copied.
      stream.codec_context.sample_aspect_ratio = aspect
    streams = [_joined(parts, stream, format_, step)]
    if sound:
      lent = sound_lib.added(sound, joined, format_.sounds, begin, end)
      streams += stack.enter_context(lent)
    for _, packet in heapq.merge(*streams, key=operator.itemgetter(0)):
      joined.mux(packet)


def join(
  parts: Sequence[str | os.PathLike],
  path: str | os.PathLike,
  fps: float,
  sound: pathlib.Path | None = None,
) -> None:
  """Concatenates videos without re-encoding, atomically.

  Each keeps its timestamps; where these do not follow those of the previous
  part, the rate determines its start. Sound is the part of the file's sound
  that belongs to the frames, on the same clock.

  Args:
    parts: of `VideoWriter`, at least one, all of one size and kind.
    path: the file, with the same suffix.
    fps: frames a second of the parts.
    sound: the video to take the sound from; sound that cannot be carried over
      is left out with a warning.

  Raises:
    SavosError: the file cannot be written.
  """
  with files.replacing(path) as partial:
    try:
      _write(partial, parts, fps, sound)
    except (pyav.get().error.FFmpegError, ValueError) as error:
      if sound is None:
        raise
      logger.warning(
        '%s: the sound of %s is damaged and left out (%s)', path, sound, error
      )
      _write(partial, parts, fps, None)
