"""Video files of any kind, made by PyAV, with a click and a flash in them."""

from collections.abc import Sequence
import fractions
import os
import pathlib
from typing import Any

import av
import numpy as np

SIZE = (48, 64)
RATE = 48_000  # Samples of sound a second.
CLICK = 0.02  # Seconds that a click or a flash lasts.


def grey(value: int, size: tuple[int, int] = SIZE) -> np.ndarray:
  """Returns a picture of one grey, RGB uint8."""
  return np.full((*size, 3), value, np.uint8)


def flash(
  times: Sequence[float], at: float, size: tuple[int, int] = SIZE
) -> list[np.ndarray]:
  """Returns dark pictures; the one shown at a time is white."""
  shown = max(t for t in times if t <= at + 1e-6)
  return [grey(235 if t == shown else 20, size) for t in times]


def write(
  path: pathlib.Path,
  pictures: Sequence[Any],
  times: Sequence[float],
  codec: str = 'libx264',
  pixels: str = 'yuv420p',
  fps: float = 25,
  unit: int = 90_000,
  options: dict[str, str] | None = None,
  context: dict[str, Any] | None = None,
  sounds: Sequence[dict[str, Any]] = (),
) -> pathlib.Path:
  """Writes a file.

  Args:
    path: its suffix names the container.
    pictures: RGB or RGBA uint8, or frames of PyAV.
    times: of the pictures, seconds.
    codec: the encoder.
    pixels: what it encodes.
    fps: as the stream states it.
    unit: time stamps a second.
    options: of the encoder.
    context: attributes of its context: tags of colour and the like.
    sounds: arguments of `_click`, one a stream.
  """
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(
      codec, rate=fractions.Fraction(fps), options=options or {}
    )
    first = pictures[0]
    if isinstance(first, np.ndarray):
      stream.height, stream.width = first.shape[:2]
    else:
      stream.height, stream.width = first.height, first.width
    stream.pix_fmt = pixels
    stream.codec_context.time_base = fractions.Fraction(1, unit)
    for name, value in (context or {}).items():
      setattr(stream.codec_context, name, value)
    tracks = [_stream(container, **sound) for sound in sounds]
    packets = []
    for picture, seconds in zip(pictures, times, strict=True):
      frame = picture
      if isinstance(picture, np.ndarray):
        layout = 'rgba' if picture.shape[2] == 4 else 'rgb24'
        frame = av.VideoFrame.from_ndarray(picture, format=layout)
      frame.pts = round(seconds * unit)
      frame.time_base = fractions.Fraction(1, unit)
      packets += stream.encode(frame)
    packets += stream.encode(None)
    for track, sound in zip(tracks, sounds, strict=True):
      packets += _click(track, **sound)
    for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
      container.mux(packet)
  if codec == 'libsvtav1' and hasattr(os, 'sched_setscheduler'):
    # For root it makes the thread one of real time, and all that it begins.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
  return path


def damage(path: pathlib.Path, index: int) -> None:
  """Makes a frame of a file of `mjpeg` one that can not be decoded."""
  data = bytearray(path.read_bytes())
  starts = [i for i in range(len(data)) if data[i : i + 3] == b'\xff\xd8\xff']
  begin, end = starts[index], starts[index + 1]
  data[begin + 2 : end - 16] = bytes(end - begin - 18)
  path.write_bytes(data)


def _stream(container, codec='aac', layout='stereo', rate=RATE, **_):
  stream = container.add_stream(codec, rate=rate, layout=layout)
  stream.codec_context.open(strict=False)
  return stream


def _click(
  stream, at=1.0, begin=0.0, end=2.0, layout='stereo', rate=RATE, **_
) -> list[Any]:
  """Encodes silence from `begin` to `end`, with a click at a time."""
  samples = np.zeros((1, round((end - begin) * rate)), np.float32)
  first = round((at - begin) * rate)
  samples[:, first : first + round(CLICK * rate)] = 0.8
  frame = av.AudioFrame.from_ndarray(samples, format='fltp', layout='mono')
  frame.rate, frame.pts = rate, round(begin * rate)
  frame.time_base = fractions.Fraction(1, rate)
  context = stream.codec_context
  resampler = av.AudioResampler(
    format=context.format,
    layout=layout,
    rate=rate,
    frame_size=context.frame_size or 1024,
  )
  frames = resampler.resample(frame) + resampler.resample(None)
  return [p for f in (*frames, None) for p in stream.encode(f)]


def clicks(path: pathlib.Path) -> list[float | None]:
  """Returns when the click of each stream of sound is heard, seconds."""
  with av.open(str(path)) as container:
    count = len(container.streams.audio)
  return [_heard(path, number) for number in range(count)]


def _heard(path: pathlib.Path, number: int) -> float | None:
  with av.open(str(path)) as container:
    resampler = av.AudioResampler('fltp', 'mono', RATE)
    for frame in container.decode(audio=number):
      for made in resampler.resample(frame):
        loud = np.abs(made.to_ndarray()[0]) > 0.3
        if loud.any():
          return float(made.time) + loud.argmax() / RATE
  return None


def end_of_sound(path: pathlib.Path) -> float:
  """Returns when the first stream of sound ends, seconds."""
  with av.open(str(path)) as container:
    *_, last = container.decode(audio=0)
    return last.time + last.samples / last.sample_rate


def stream_of(path: pathlib.Path) -> dict[str, Any]:
  """Returns what a file says of its pictures."""
  with av.open(str(path)) as container:
    stream = container.streams.video[0]
    context = stream.codec_context
    return {
      'codec': context.name,
      'pixels': context.pix_fmt,
      'aspect': stream.sample_aspect_ratio,
      'colours': (
        context.colorspace, context.color_primaries, context.color_trc,
        context.color_range,
      ),
    }  # fmt: skip


def read_alpha(path: pathlib.Path, decoder: str) -> list[np.ndarray]:
  """Returns a video's frames with their alpha channel, RGBA uint8.

  Args:
    path: the file.
    decoder: FFmpeg's own of VP9 passes over the alpha channel.
  """
  found = []
  with av.open(str(path)) as container:
    stream = container.streams.video[0]
    context = av.CodecContext.create(decoder, 'r')
    context.extradata = stream.codec_context.extradata
    packets = [p for p in container.demux(stream) if p.size]
    for packet in (*packets, None):
      for frame in context.decode(packet):
        # The decoder does not tell, the file does.
        made = frame.reformat(format='rgba', src_colorspace=1)
        found.append(made.to_ndarray())
  return found
