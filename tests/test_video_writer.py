"""Written videos read back, play in browsers, and never stand half done."""

from concurrent import futures
import resource
import subprocess
import sys

import av
import numpy as np
import pytest

from savos_jax.foundation import errors
from savos_jax.video import sources
from savos_jax.video import video_writer

LEVELS = tuple(range(20, 240, 20))
# RGB: a swap of channels would show.
TINT = np.array([1.0, 0.6, 0.2])


def _frames(shape=(48, 64, 3), levels=LEVELS):
  return (np.full(shape, level * TINT).astype(np.uint8) for level in levels)


def _write(writer, frames, error=None):
  """Writes the frames and raises the error, as a program that is stopped."""
  with writer:
    for frame in frames:
      writer.write(frame)
    if error is not None:
      raise error


@pytest.mark.parametrize('shape', [(48, 64, 3), (47, 63, 3)])
@pytest.mark.parametrize('fps', [10, 29.97])
def test_reads_back(tmp_path, shape, fps):
  path = tmp_path / 'folder' / 'clip.mp4'
  writer = video_writer.VideoWriter(path, fps)
  _write(writer, _frames(shape))
  assert writer.count == len(LEVELS)
  assert [p.name for p in path.parent.iterdir()] == [path.name]
  opened = sources.open_video(path)
  assert opened.fps == pytest.approx(fps, rel=1e-4)
  assert opened.length == len(LEVELS)
  found = list(opened.frames())
  assert len(found) == len(LEVELS)
  for level, frame in zip(LEVELS, found, strict=True):
    assert frame.shape == (48, 64, 3)
    np.testing.assert_allclose(frame.mean(axis=(0, 1)), level * TINT, atol=6)


def test_pixels_stay_where_they_are(tmp_path):
  frame = np.zeros((47, 63, 3), np.uint8)
  frame[:20, :30] = (250, 120, 30)
  video_writer.write_video(tmp_path / 'clip.mp4', [frame] * 3, 10)
  found = sources.open_video(tmp_path / 'clip.mp4').frame(0)
  assert abs(found[:47, :63].astype(int) - frame).mean() < 4


def test_it_is_what_browsers_play(tmp_path):
  """H.264, 8 bits, 4:2:0, with the index in front of the frames."""
  path = tmp_path / 'clip.MP4'
  video_writer.write_video(path, _frames(), 10)
  with av.open(str(path)) as container:
    (stream,) = container.streams
    assert stream.codec_context.name == 'h264'
    assert stream.codec_context.pix_fmt == 'yuv420p'
  content = path.read_bytes()
  assert 0 < content.index(b'moov') < content.index(b'mdat')


def test_the_console_stays_empty():
  code = (
    'import numpy as np, tempfile\n'
    'from savos_jax.video import sources, video_writer\n'
    'with tempfile.TemporaryDirectory() as folder:\n'
    '  frames = [np.zeros((48, 64, 3), np.uint8)] * 3\n'
    '  video_writer.write_video(folder + "/a.mp4", frames, 10)\n'
    '  assert len(list(sources.open_video(folder + "/a.mp4").frames())) == 3\n'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True)
  assert (done.returncode, done.stdout, done.stderr) == (0, b'', b'')


@pytest.mark.parametrize('error', [RuntimeError('stop'), KeyboardInterrupt()])
@pytest.mark.parametrize('count', [0, 4])
def test_an_error_leaves_the_old_file(tmp_path, error, count):
  path = tmp_path / 'clip.mp4'
  path.write_bytes(b'old')
  writer = video_writer.VideoWriter(path, 10)
  with pytest.raises(type(error)):
    _write(writer, _frames(levels=LEVELS[:count]), error)
  assert path.read_bytes() == b'old'
  assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_reported(tmp_path):
  """A limit on file sizes acts alike."""
  path = tmp_path / 'clip.mp4'
  rng = np.random.default_rng(0)
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  writer = video_writer.VideoWriter(path, 10)
  noise = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(30)]
  resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
  try:
    with pytest.raises(errors.SavosError) as caught:
      _write(writer, noise)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert str(caught.value).startswith(f'{path}: could not be written: ')
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ('name', 'fps', 'word'),
  [
    ('clip.avi', 10, r'a video named \.avi'),
    ('clip', 10, 'without a suffix'),
    ('clip.mp4', 0, '0 frames a second'),
    ('clip.mp4', float('nan'), 'nan frames a second'),
    ('clip.mp4', 1001, '1001 frames a second'),
  ],
)
def test_names_and_rates_are_checked_before_work(tmp_path, name, fps, word):
  with pytest.raises(errors.SavosError, match=word) as caught:
    video_writer.VideoWriter(tmp_path / name, fps)
  assert str(caught.value).startswith(f'{tmp_path / name}: ')
  assert '\n  Expected a ' in str(caught.value)


def test_a_video_needs_frames_of_one_size(tmp_path):
  path = tmp_path / 'clip.mp4'
  with pytest.raises(ValueError, match='no frames'):
    video_writer.write_video(path, [], 10)
  frames = [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)]
  with pytest.raises(ValueError, match=r'\(4, 6, 3\)'):
    video_writer.write_video(path, frames, 10)
  assert not list(tmp_path.iterdir())


def test_the_same_frames_are_the_same_bytes(tmp_path):
  """Of a width that the encoder pads, with other work at the same time."""
  rng = np.random.default_rng(0)
  frames = list(rng.integers(0, 256, (20, 60, 86, 3), np.uint8))

  def write(name):
    video_writer.write_video(tmp_path / name, frames, 25)
    return (tmp_path / name).read_bytes()

  with futures.ThreadPoolExecutor(3) as pool:
    assert len(set(pool.map(write, [f'{i}.mp4' for i in range(12)]))) == 1


def test_joined_parts_are_one_video(tmp_path):
  shades = [(12 * i, 128, 255 - 12 * i) for i in range(20)]
  frames = [np.full((48, 64, 3), shade, np.uint8) for shade in shades]
  parts = [tmp_path / f'{start}.mp4' for start in (0, 7, 14)]
  for part, start in zip(parts, (0, 7, 14), strict=True):
    video_writer.write_video(part, frames[start : start + 7], 29.97)
  video_writer.join(parts, tmp_path / 'joined.mp4')
  found = sources.open_video(tmp_path / 'joined.mp4')
  assert found.fps == pytest.approx(29.97, rel=1e-4)
  assert found.length == 20
  for frame, shade in zip(found.frames(), shades, strict=True):
    np.testing.assert_allclose(frame.mean(axis=(0, 1)), shade, atol=6)
  with av.open(str(tmp_path / 'joined.mp4')) as container:
    times = sorted(
      p.pts * p.time_base for p in container.demux(video=0) if p.pts is not None
    )
  steps = np.diff([float(time) for time in times])
  np.testing.assert_allclose(steps, 1 / 29.97, rtol=1e-3)
