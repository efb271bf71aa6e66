"""Carries the sound of a video over to videos made from it.

It is copied if the container allows it, otherwise re-encoded. One packet is
held in memory.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import itertools
import logging
import pathlib
from typing import Any

from savos_jax.video import pyav
from savos_jax.video import video_file

logger = logging.getLogger(__name__)

# Decoders need some packets before the first that is heard; players pass over
# what comes before the film's begin.
_PREROLL = 0.1  # Seconds.
_BIT_RATE = 96_000  # A channel and second.
_RATE = 48_000  # Where the encoder does not take the sound's own.
_SLACK = 10  # Seconds by which a file may keep sound apart from its pictures.
_LAYOUTS = ('mono', 'stereo', '5.1', '7.1')


@dataclasses.dataclass(frozen=True)
class Kinds:
  """The audio that a container supports.

  Attributes:
    copied: FFmpeg's names of the codecs that are copied.
    encoder: for all others.
    preroll: whether it can hold packets before its beginning.
  """

  copied: tuple[str, ...]
  encoder: str
  preroll: bool = True


@dataclasses.dataclass(frozen=True)
class _Span:
  """What is shown of a video, seconds by its own clock."""

  begin: float
  end: float


class _Copied:
  """A stream that goes over as it is."""

  def __init__(self, source: Any, film: Any, kinds: Kinds, span: _Span):
    """Adds a stream to the output.

    Args:
      source: the stream.
      film: the output container.
      kinds: of the container.
      span: of the original that is shown.
    """
    self.source = source
    self._stream = film.add_stream_from_template(source)
    self._offset = round(span.begin / source.time_base)
    self._earliest = -round(kinds.preroll * _PREROLL / source.time_base)
    self._last = self._next = None  # Where the last packet began and ended.
    self.damaged = 0  # Nothing is looked at.

  def packets(self, packet: Any) -> Iterator[Any]:
    """Converts a packet."""
    stamp = self._next if packet.pts is None else packet.pts - self._offset
    if stamp is None or stamp < self._earliest:
      return
    if self._last is not None and stamp <= self._last:
      return  # Damaged: sound does not run backwards.
    packet.pts = packet.dts = self._last = stamp
    self._next = stamp + (packet.duration or 1)
    packet.stream = self._stream
    yield packet

  def end(self) -> Iterator[Any]:
    """Yields the remaining packets."""
    return iter(())


class _Encoded:
  """A stream that is encoded again."""

  def __init__(self, source: Any, film: Any, kinds: Kinds, span: _Span):
    """Adds a stream to the output; see `_Copied`."""
    codec = pyav.get().codec.Codec(kinds.encoder, 'w')
    rate, layout = source.rate, source.layout.name
    rate = rate if rate in (codec.audio_rates or [rate]) else _RATE
    layout = layout if layout in _LAYOUTS else 'stereo'
    self.source = source
    self._span = span
    self._stream = film.add_stream(kinds.encoder, rate=rate, layout=layout)
    context = self._stream.codec_context
    context.format = codec.audio_formats[0]
    context.bit_rate = _BIT_RATE * context.layout.nb_channels
    self._graph: Any = None
    self.damaged = 0  # Packets that could not be decoded.

  def _resampler(self, frame: Any) -> Any:
    """Returns what makes the encoder's samples, with silence in gaps."""
    context = self._stream.codec_context
    context.open(strict=False)  # Tells the size of its frames.
    graph = pyav.get().filter.Graph()
    graph.link_nodes(
      graph.add_abuffer(
        sample_rate=frame.sample_rate,
        format=frame.format.name,
        layout=frame.layout.name,
        time_base=frame.time_base,
      ),
      graph.add('atrim', f'start=0:end={self._span.end - self._span.begin}'),
      graph.add('aresample', 'async=1:first_pts=0'),
      graph.add(
        'aformat',
        f'sample_fmts={context.format.name}:sample_rates={context.sample_rate}'
        f':channel_layouts={context.layout.name}',
      ),
      graph.add('abuffersink'),
    )
    graph.configure()
    graph.set_audio_frame_size(context.frame_size)
    return graph

  def packets(self, packet: Any) -> Iterator[Any]:
    """Converts a packet; a damaged one becomes silence."""
    try:
      frames = packet.decode()
    except pyav.damage():
      self.damaged += 1
    else:
      yield from self._encode(frames)

  def end(self) -> Iterator[Any]:
    """Yields the remaining packets."""
    with contextlib.suppress(*pyav.damage()):
      yield from self._encode(self.source.codec_context.decode(None))
    if self._graph is not None:
      self._graph.push(None)
      yield from self._resampled()
      yield from self._stream.encode(None)

  def _encode(self, frames: list[Any]) -> Iterator[Any]:
    for frame in frames:
      if frame.pts is None:
        continue
      frame.pts -= round(self._span.begin / frame.time_base)
      if self._graph is None:
        self._graph = self._resampler(frame)
      self._graph.push(frame)
      yield from self._resampled()

  def _resampled(self) -> Iterator[Any]:
    with contextlib.suppress(BlockingIOError, EOFError):
      while True:
        yield from self._stream.encode(self._graph.pull())


def _packets(
  path: pathlib.Path, container: Any, tracks: Sequence[Any], span: _Span
) -> Iterator[tuple[float, Any]]:
  """Yields seconds in the film and packet."""
  of = {track.source.index: track for track in tracks}
  if span.begin > _SLACK:
    container.seek(int((span.begin - _SLACK) * pyav.get().time_base))
  made = itertools.chain.from_iterable
  try:
    for packet in container.demux([track.source for track in tracks]):
      seconds = 0 if packet.pts is None else packet.pts * packet.time_base
      if seconds > span.end + _SLACK:
        break
      if packet.size and seconds < span.end:
        yield from _timed(of[packet.stream.index].packets(packet))
  except pyav.damage() as error:
    logger.warning(
      '%s: its sound ends early because of damage (%s)', path, error
    )
  yield from _timed(made(track.end() for track in tracks))
  damaged = sum(track.damaged for track in tracks)
  if damaged:
    logger.warning(
      '%s: %d packets of its sound are damaged: silence', path, damaged
    )


def _timed(packets: Iterable[Any]) -> Iterator[tuple[float, Any]]:
  return ((float(p.dts * p.time_base), p) for p in packets)


@contextlib.contextmanager
def added(
  path: pathlib.Path, film: Any, kinds: Kinds, begin: float, end: float
) -> Iterator[list[Iterator[tuple[float, Any]]]]:
  """Adds the audio streams of a video to an output container.

  A stream that cannot be carried over is left out with a warning.

  Args:
    path: the video.
    film: the output container.
    kinds: of the container.
    begin: start of the part shown, seconds on the clock of the video.
    end: end of the part shown.

  Yields:
    An iterator of (seconds in the output, packet); empty without sound.

  Raises:
    SavosError: the video cannot be read.
  """
  span, tracks = _Span(begin, end), []
  with video_file.opened(path) as (container, _):
    for source in container.streams.audio:
      context = source.codec_context
      name = context.codec.canonical_name if context else 'unknown'
      kind = _Copied if name in kinds.copied else _Encoded
      try:
        if context is None:
          raise ValueError('no decoder knows it')
        track = kind(source, film, kinds, span)
      except (pyav.get().error.FFmpegError, ValueError) as error:
        logger.warning(
          '%s: sound of an unsupported kind is left out: %s (%s)',
          path, name, error,
        )  # fmt: skip
      else:
        tracks.append(track)
    yield [_packets(path, container, tracks, span)] if tracks else []
