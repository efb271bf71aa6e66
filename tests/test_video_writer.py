"""Written videos read back, play in browsers, and never stand half done."""

from concurrent import futures
import fractions
import resource
import subprocess
import sys

import av
import numpy as np
import pytest

from savos_jax.foundation import errors
from savos_jax.video import sources
from savos_jax.video import video_writer
from tests import made_videos

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
    ('clip.avi', 10, r'a video named \.avi.*\n.*\.mp4, \.mov, \.webm'),
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
  video_writer.join(parts, tmp_path / 'joined.mp4', 29.97)
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


def _write_at(path, times, fps=10, kind=3, aspect=1):
  writer = video_writer.VideoWriter(path, fps, fractions.Fraction(aspect))
  with writer:
    for index, seconds in enumerate(times):
      writer.write(np.full((48, 64, kind), 12 * index, np.uint8), seconds)


def _times(path):
  return [shown.seconds for shown in sources.open_video(path).numbered()]


# With a long last step, which no edit list may cut off.
UNEVEN = (0, 0.04, 0.05, 0.3, 0.301, 0.8, 0.84, 9.5)


@pytest.mark.parametrize(
  ('name', 'exact'),
  [('clip.mp4', 1e-5), ('clip.mov', 1e-5), ('clip.webm', 6e-4)],
)
@pytest.mark.parametrize('start', [0, 3.7, 95_000.25])
def test_frames_keep_their_times(tmp_path, name, exact, start):
  """In parts, too, that are joined; a film begins at 0."""
  kind, parts = 3 if name == 'clip.mp4' else 4, []
  for number in range(3):
    parts.append(tmp_path / f'{number}{name}')
    times = [start + 10 * number + seconds for seconds in UNEVEN]
    _write_at(parts[-1], times, kind=kind)
  video_writer.join(parts, tmp_path / name, 10)
  expected = [
    10 * number + seconds for number in range(3) for seconds in UNEVEN
  ]
  np.testing.assert_allclose(_times(tmp_path / name), expected, atol=exact)
  shades = [
    round(frame.mean() / 12)
    for frame in sources.open_video(tmp_path / name).frames()
  ]
  assert shades == [*range(8)] * 3


def test_times_that_cannot_be_are_as_the_rate_says(tmp_path):
  """None, not later, and later by more than an hour; and parts that overlap."""
  wrong = (0, 0.2, None, 0.1, 9000, 0.7)
  _write_at(tmp_path / 'a.mp4', wrong)
  found = _times(tmp_path / 'a.mp4')
  np.testing.assert_allclose(found, [0, 0.2, 0.3, 0.4, 0.5, 0.7], atol=1e-4)
  _write_at(tmp_path / 'b.mp4', (0.5, 0.6))
  _write_at(tmp_path / 'c.mp4', (90_000.0, 90_000.1))
  parts = [tmp_path / f'{name}.mp4' for name in 'abc']
  video_writer.join(parts, tmp_path / 'joined.mp4', 10)
  found = _times(tmp_path / 'joined.mp4')[6:]
  np.testing.assert_allclose(found, [0.8, 0.9, 1.0, 1.1], atol=1e-4)


@pytest.mark.parametrize('aspect', ['2', '64/45', '1/2'])
def test_pixels_keep_their_shape(tmp_path, aspect):
  aspect = fractions.Fraction(aspect)
  for name, kind in (('a.mp4', 3), ('a.mov', 4)):
    path = tmp_path / name
    _write_at(path, (0, 0.1), kind=kind, aspect=aspect)
    video_writer.join([path], tmp_path / f'joined{name}', 10)
    found = sources.open_video(tmp_path / f'joined{name}')
    assert (found.width, found.height) == (64, 48)
    assert found.pixel_aspect == aspect
  # Where it can't be told the pixels are as shown.
  _write_at(tmp_path / 'a.webm', (0, 0.1), kind=4, aspect=aspect)
  found = sources.open_video(tmp_path / 'a.webm')
  assert (found.width, found.height) == (round(64 * aspect), 48)
  assert found.pixel_aspect == 1


FLAT = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40), (16, 16, 16))


@pytest.mark.parametrize('size', [(48, 64), (720, 1280)])
@pytest.mark.parametrize('name', ['a.mp4', 'a.mov', 'a.webm'])
def test_colours_are_what_they_were(tmp_path, name, size):
  """Tagged BT.709, limited range; and so they are, by its arithmetic."""
  for colour in FLAT:
    rest = () if name == 'a.mp4' else (255,)
    frame = np.full((*size, 3 + len(rest)), (*colour, *rest), np.uint8)
    video_writer.write_video(tmp_path / f'part{name}', [frame] * 2, 10)
    video_writer.join([tmp_path / f'part{name}'], tmp_path / name, 10)
    *tags, full = made_videos.stream_of(tmp_path / name)['colours']
    assert tags == [1, 1, 1]
    assert full != 2  # ProRes is never of full range, and need not tell.
    found = sources.open_video(tmp_path / name).frame(0)[5, 5]
    np.testing.assert_allclose(found, colour, atol=4)
    luma = np.array([0.2126, 0.7152, 0.0722]) @ colour
    with av.open(str(tmp_path / name)) as container:
      frame = next(container.decode(video=0)).reformat(format='yuv420p')
      stored = np.frombuffer(frame.planes[0], np.uint8)[0]
    assert abs(stored - (16 + 219 / 255 * luma)) <= 2


@pytest.mark.parametrize(
  ('name', 'decoder', 'exact'),
  [('a.mov', 'prores', 1), ('a.webm', 'libvpx-vp9', 6)],
)
def test_alpha_reads_back(tmp_path, name, decoder, exact):
  """Odd sides stay; colours are not premultiplied."""
  parts, alphas = [], []
  ys, xs = np.mgrid[:47, :63]
  for number in range(2):
    frames = []
    for index in range(4):
      distance = np.hypot(ys - 24, xs - 20 - 4 * (4 * number + index))
      alpha = np.clip(255 - 40 * (distance - 10), 0, 255).astype(np.uint8)
      colour = np.full((47, 63, 3), (200, 120, 40), np.uint8)
      frames.append(np.dstack([colour, alpha]))
      alphas.append(alpha)
    parts.append(tmp_path / f'{number}{name}')
    video_writer.write_video(parts[-1], frames, 10)
  video_writer.join(parts, tmp_path / name, 10)
  found = made_videos.read_alpha(tmp_path / name, decoder)
  assert len(found) == 8
  for picture, alpha in zip(found, alphas, strict=True):
    assert picture.shape == (47, 63, 4)
    assert abs(picture[..., 3].astype(int) - alpha).mean() <= exact / 6
    assert abs(picture[..., 3].astype(int) - alpha).max() <= 4 * exact
    np.testing.assert_allclose(
      picture[..., :3].mean(axis=(0, 1)), (200, 120, 40), atol=4
    )


@pytest.mark.parametrize('name', ['a.mov', 'a.webm'])
def test_alpha_films_are_the_same_bytes_too(tmp_path, name):
  rng = np.random.default_rng(0)
  frames = list(rng.integers(0, 256, (6, 60, 86, 4), np.uint8))

  def write(folder):
    parts = [tmp_path / folder / f'{k}{name}' for k in range(2)]
    for part in parts:
      video_writer.write_video(part, frames, 25)
    video_writer.join(parts, tmp_path / folder / name, 25)
    return (tmp_path / folder / name).read_bytes()

  with futures.ThreadPoolExecutor(3) as pool:
    names = [str(i) for i in range(30)]
    assert len(set(pool.map(write, names))) == 1


@pytest.mark.parametrize(('name', 'kind'), [('a.mp4', 4), ('a.mov', 3)])
def test_alpha_where_it_belongs(tmp_path, name, kind):
  frame = np.zeros((48, 64, kind), np.uint8)
  with pytest.raises(ValueError, match=name):
    video_writer.write_video(tmp_path / name, [frame], 10)
