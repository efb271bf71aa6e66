"""Sinks for overlays and cut-outs."""

from collections.abc import Mapping
import functools
import pathlib

from savos_jax.pictures import cutout
from savos_jax.pictures import overlay
from savos_jax.video import sinks
from savos_jax.video import sources

CUTOUTS = ('png', 'green', 'prores', 'webm')
_FOLDER_FPS = 24.0  # Of videos made from a folder of images.
_FEATHER = 1.5  # Width of a cutout's soft edge, pixels.
# Pixels around an object that keep their colours behind a film's alpha channel.
_SPREAD = 8


def _before_green(frame, labels):
  return cutout.green_screen(frame, cutout.matte(labels, _FEATHER))


def _before_nothing(frame, labels):
  return cutout.rgba(frame, labels, _FEATHER, spread=_SPREAD)


_FILMS = {
  'green': ('cutout.mp4', _before_green),
  'prores': ('cutout.mov', _before_nothing),
  'webm': ('cutout.webm', _before_nothing),
}


def _film(path: pathlib.Path, video: sources.Video, draw: sinks.Draw):
  return sinks.Film(
    path,
    fps=video.fps or _FOLDER_FPS,
    draw=draw,
    pixel_aspect=video.pixel_aspect,
    sound=video.sound,
  )


def masks_over(
  folder: pathlib.Path,
  video: sources.Video,
  colours: Mapping[int, tuple[int, int, int]] | None = None,
) -> sinks.Sink:
  """Returns the sink of overlay.mp4.

  Args:
    folder: receives it.
    video: the video.
    colours: see `overlay.draw`.

  Raises:
    SavosError: no video can be written at this frame rate.
  """
  draw = functools.partial(overlay.draw, colours=colours)
  return _film(folder / 'overlay.mp4', video, draw)


def cut_out(
  folder: pathlib.Path, video: sources.Video, kind: str
) -> sinks.Sink:
  """Returns the sink of cut-outs.

  Args:
    folder: receives it.
    video: the video.
    kind: one of `CUTOUTS`: transparent pictures in cutout/, a green screen in
      cutout.mp4, or a transparent cutout.mov or cutout.webm.

  Raises:
    SavosError: as `masks_over`.
  """
  if kind == 'png':
    draw = functools.partial(cutout.rgba, feather=_FEATHER)
    return sinks.Pictures(folder / 'cutout', video.names, draw)
  name, draw = _FILMS[kind]
  return _film(folder / name, video, draw)
