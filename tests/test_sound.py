"""The sound of a video goes along with its films, in time with the pictures."""

import logging

import av
import numpy as np
import pytest

from savos_jax.video import excerpts
from savos_jax.video import sinks
from savos_jax.video import sound as sound_lib
from savos_jax.video import sources
from tests import made_videos

TIMES = [i / 25 for i in range(50)]
SECONDS = pytest.approx


def rgb(frame, labels):
  return frame


def rgba(frame, labels):
  return np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])


def film_of(path, film, first=0, last=None):
  """Makes a film of some frames, as the engine does; returns it."""
  video = excerpts.part(sources.open_video(path), first, last)
  draw = rgb if film.suffix == '.mp4' else rgba
  made = sinks.Film(film, video.fps, draw, video.pixel_aspect, video.sound)
  with made:
    made.begin(0)
    for shown in video.numbered():
      labels = np.zeros(shown.image.shape[:2], np.uint8)
      made.write(sinks.Segmented(shown, labels))
    made.finish()
  return film


def flashes(path):
  """Returns when a film is white, seconds."""
  shown = sources.open_video(path).numbered()
  return [s.seconds for s in shown if s.image.mean() > 128]


def codecs(path):
  with av.open(str(path)) as container:
    return [
      stream.codec_context.codec.canonical_name
      for stream in container.streams.audio
    ]


def made(path, **sound):
  pictures = made_videos.flash(TIMES, 1.0)
  return made_videos.write(path, pictures, TIMES, sounds=[sound])


@pytest.mark.parametrize(
  ('name', 'sound', 'film', 'codec'),
  [
    ('clip.mp4', {'codec': 'aac'}, 'film.mp4', 'aac'),
    ('clip.mkv', {'codec': 'libopus'}, 'film.mp4', 'opus'),
    ('clip.mkv', {'codec': 'flac', 'layout': 'mono'}, 'film.mp4', 'flac'),
    ('clip.mkv', {'codec': 'ac3'}, 'film.mp4', 'ac3'),
    ('clip.mkv', {'codec': 'libmp3lame'}, 'film.mp4', 'mp3'),
    ('clip.mkv', {'codec': 'pcm_s16le'}, 'film.mp4', 'aac'),
    ('clip.ts', {'codec': 'aac'}, 'film.mp4', 'aac'),
    ('clip.ts', {'codec': 'mp2'}, 'film.mp4', 'aac'),
    ('clip.mp4', {'codec': 'aac'}, 'film.mov', 'aac'),
    ('clip.mkv', {'codec': 'pcm_s16le'}, 'film.mov', 'pcm_s16le'),
    ('clip.mkv', {'codec': 'libopus'}, 'film.mov', 'aac'),
    ('clip.mkv', {'codec': 'libopus'}, 'film.webm', 'opus'),
    ('clip.mp4', {'codec': 'aac', 'rate': 44100}, 'film.webm', 'opus'),
    ('clip.mp4', {'codec': 'aac', 'layout': '5.1'}, 'film.webm', 'opus'),
  ],
)
def test_sound_is_kept_and_in_time(tmp_path, name, sound, film, codec):
  path = film_of(made(tmp_path / name, **sound), tmp_path / film)
  assert codecs(path) == [codec]
  (flash,), (click,) = flashes(path), made_videos.clicks(path)
  assert flash == SECONDS(1, abs=0.001)
  assert click == SECONDS(flash, abs=0.003)
  assert made_videos.end_of_sound(path) == SECONDS(2, abs=0.03)


@pytest.mark.parametrize('codec', ['aac', 'pcm_s16le'])
@pytest.mark.parametrize(
  ('pictures', 'sound'), [(0.52, 0), (0, 0.3), (100_000.48, 100_000)]
)
def test_a_stream_that_begins_later_stays_later(
  tmp_path, codec, pictures, sound
):
  at = max(pictures, sound) + 1
  times = [pictures + t for t in TIMES]
  clip = made_videos.write(
    tmp_path / 'clip.mkv',
    made_videos.flash(times, at),
    times,
    unit=1000,
    sounds=[{'codec': codec, 'begin': sound, 'end': at + 1, 'at': at}],
  )
  path = film_of(clip, tmp_path / 'film.mp4')
  shown = max(t for t in times if t <= at + 1e-6)
  (flash,) = flashes(path)
  assert flash == SECONDS(shown - pictures, abs=0.002)
  (click,) = made_videos.clicks(path)
  assert click - flash == SECONDS(at - shown, abs=0.003)


@pytest.mark.parametrize('codec', ['aac', 'pcm_s16le'])
@pytest.mark.parametrize('name', ['film.mp4', 'film.webm'])
def test_a_part_of_a_video_has_its_part_of_the_sound(tmp_path, codec, name):
  times = [i / 25 for i in range(750)]
  clip = made_videos.write(
    tmp_path / 'clip.mkv',
    made_videos.flash(times, 25),
    times,
    sounds=[{'codec': codec, 'at': 25, 'end': 30}],
  )
  path = film_of(clip, tmp_path / name, 610, 659)
  (flash,), (click,) = flashes(path), made_videos.clicks(path)
  assert flash == SECONDS(0.6, abs=0.001)
  assert click == SECONDS(0.6, abs=0.003)
  assert made_videos.end_of_sound(path) == SECONDS(2, abs=0.03)


def test_all_streams_of_sound_and_none(tmp_path):
  sounds = [
    {'codec': 'aac', 'at': 0.4},
    {'codec': 'pcm_s16le', 'at': 0.8},
    {'codec': 'libopus', 'at': 1.2, 'layout': 'mono'},
  ]
  pictures = made_videos.flash(TIMES, 1)
  clip = made_videos.write(
    tmp_path / 'clip.mkv', pictures, TIMES, sounds=sounds
  )
  path = film_of(clip, tmp_path / 'film.mp4')
  assert codecs(path) == ['aac', 'aac', 'opus']
  assert made_videos.clicks(path) == SECONDS([0.4, 0.8, 1.2], abs=0.003)
  silent = made_videos.write(tmp_path / 'silent.mp4', pictures, TIMES)
  assert codecs(film_of(silent, tmp_path / 'film.mp4')) == []


def test_damaged_sound_costs_no_video(tmp_path, caplog):
  """Noise in place of the sound's packets."""
  rng = np.random.default_rng(0)
  for codec in ('aac', 'mp2', 'flac'):
    clip = made(tmp_path / 'clip.mkv', codec=codec)
    with av.open(str(clip)) as container:
      content = bytearray(clip.read_bytes())
      for packet in container.demux(audio=0):
        if packet.size and packet.pts > 300:
          at = content.index(bytes(packet))
          content[at : at + packet.size] = rng.bytes(packet.size)
    clip.write_bytes(content)
    path = film_of(clip, tmp_path / 'film.mp4')
    assert flashes(path) == SECONDS([1.0], abs=0.001)
    told = 'packets of its sound are damaged' in caplog.text
    assert told == (codec == 'mp2')  # What is copied is not looked at.
    caplog.clear()


def test_sound_that_no_film_takes_is_left_out_and_told(
  tmp_path, monkeypatch, caplog
):
  def refuses(*_):
    raise ValueError('unheard of')

  clip = made(tmp_path / 'clip.mkv', codec='pcm_s16le')
  monkeypatch.setattr(sound_lib._Encoded, '__init__', refuses)
  caplog.set_level(logging.WARNING)
  path = film_of(clip, tmp_path / 'film.mp4')
  assert codecs(path) == []
  assert 'pcm_s16le (unheard of)' in caplog.text
  assert flashes(path) == SECONDS([1.0], abs=0.001)


def test_sound_without_a_decoder_is_left_out_and_told(tmp_path, caplog):
  clip = made(tmp_path / 'clip.mkv')
  clip.write_bytes(clip.read_bytes().replace(b'A_AAC', b'A_XYZ'))
  path = film_of(clip, tmp_path / 'film.mp4')
  assert codecs(path) == []
  assert 'unknown (no decoder knows it)' in caplog.text


def test_sound_that_ends_the_join_is_left_out_and_told(
  tmp_path, monkeypatch, caplog
):
  def broken(*_):
    raise av.error.InvalidDataError(1, 'broken')
    yield

  clip = made(tmp_path / 'clip.mp4')
  monkeypatch.setattr(sound_lib._Copied, 'packets', broken)
  path = film_of(clip, tmp_path / 'film.mp4')
  assert flashes(path) == SECONDS([1.0], abs=0.001)
  assert 'clip.mp4' in caplog.text
  assert 'ends early because of damage' in caplog.text
