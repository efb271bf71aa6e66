"""Any frame of a video, exactly, and at hand."""

import contextlib
import shutil
import struct
import time

import cv2
import numpy as np
import pytest

from savos_jax.foundation import errors
from savos_jax.studio import frames as frames_lib
from savos_jax.studio import session as session_lib
from savos_jax.video import sources
from tests import made_videos

SIZE = (48, 64)
COUNT = 40
EVEN = [i / 25 for i in range(COUNT)]
VARYING = np.cumsum([0.5, *np.tile([0.02, 0.11, 0.04], COUNT)])[:COUNT].tolist()
BOTH_WAYS = {'bf': '3', 'b_strategy': '0', 'g': '100'}
KINDS = {
  'far key frames, both ways': ('.mp4', EVEN, 'libx264', BOTH_WAYS),
  'a varying rate': ('.mkv', VARYING, 'libx264', BOTH_WAYS),
  'near key frames': ('.mov', EVEN, 'libx264', {'g': '5'}),
  'an open group': (
    '.mp4', EVEN, 'libx265',
    {'x265-params': 'keyint=10:open-gop=1:bframes=4:log-level=none'},
  ),
  'webm': ('.webm', EVEN, 'libvpx-vp9', {'g': '100', 'deadline': 'realtime'}),
  'avi': ('.avi', EVEN, 'mpeg4', {'g': '30', 'bf': '2'}),
  'one key frame each': ('.avi', EVEN, 'mjpeg', {}),
}  # fmt: skip


def pictures():
  """Frames that all differ, and that move, so that they are predicted."""
  rng = np.random.default_rng(0)
  noise = rng.integers(0, 256, (96, 160, 3), np.uint8)
  texture = cv2.GaussianBlur(noise, (9, 9), 2)
  return [texture[i // 2 : i // 2 + 48, i : i + 64] for i in range(COUNT)]


@pytest.fixture(scope='module', params=KINDS.values(), ids=KINDS)
def any_video(request, tmp_path_factory):
  suffix, times, codec, options = request.param
  folder = tmp_path_factory.mktemp('video')
  more = {'pixels': 'yuvj420p'} if codec == 'mjpeg' else {}
  more |= {'unit': 25} if suffix == '.avi' else {}
  path = made_videos.write(
    folder / f'clip{suffix}', pictures(), times, codec, options=options, **more
  )
  return sources.open_video(path)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  path = tmp_path_factory.mktemp('video') / 'clip.mp4'
  made_videos.write(path, pictures(), EVEN, options=BOTH_WAYS)
  return sources.open_video(path)


def frames_of(video, tmp_path, **more):
  return frames_lib.Frames(video, video.count(), tmp_path / 'kept', **more)


def test_any_frame_is_that_of_the_reader(any_video, tmp_path):
  expected = [shown.image for shown in any_video.numbered()]
  assert len(expected) == COUNT
  frames = frames_of(any_video, tmp_path)
  order = [0, 39, 20, 21, 22, 19, 5, 38, 0, 1]
  order += np.random.default_rng(0).permutation(COUNT).tolist()
  for index in order:
    np.testing.assert_array_equal(frames.image(index), expected[index])
  frames.close()


def test_a_turned_video_is_shown_upright(tmp_path):
  path = made_videos.write(tmp_path / 'a.mp4', pictures(), EVEN, options={
    'g': '30', 'bf': '2'
  })  # fmt: skip
  # A quarter to the right, in the track's header.
  data = bytearray(path.read_bytes())
  at = data.index(b'tkhd') + 4 + 40
  matrix = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
  data[at : at + 36] = struct.pack('>9i', *matrix)
  path.write_bytes(data)
  video = sources.open_video(path)
  assert (video.height, video.width) == (64, 48)
  frames = frames_of(video, tmp_path)
  expected = list(video.frames())
  for index in (30, 2, 39, 11, 12):
    np.testing.assert_array_equal(frames.image(index), expected[index])
    image = cv2.imdecode(np.frombuffer(frames.jpeg(index), np.uint8), 1)
    assert image.shape == (64, 48, 3)
  frames.close()


def wait(frames, count):
  frames.start()
  end = time.monotonic() + 60
  while frames.kept < count:
    assert time.monotonic() < end
    time.sleep(0.01)


def test_all_are_kept_and_found_again(any_video, tmp_path):
  frames = frames_of(any_video, tmp_path)
  wait(frames, COUNT)
  frames.close()
  again = frames_of(any_video, tmp_path)
  assert again.kept == COUNT
  for index, image in enumerate(any_video.frames()):
    assert again.is_kept(index)
    assert again.jpeg(index) == frames_lib.encode(image)
  again.close()


def test_a_jpeg_is_near_to_the_frame_and_as_wide_as_asked(video, tmp_path):
  frames = frames_of(video, tmp_path)
  image = frames.image(17)
  for _ in range(2):  # Decoded, and kept.
    for width, shape in ((0, SIZE), (999, SIZE), (32, (24, 32)), (9, (7, 9))):
      data = np.frombuffer(frames.jpeg(17, width), np.uint8)
      found = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
      assert found.shape[:2] == shape
      near = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
      assert np.abs(found.astype(int) - near).mean() < 12
  assert frames.is_kept(17)
  frames.close()


def test_what_is_kept_is_bounded_and_near_to_who_looks(video, tmp_path):
  one = len(frames_of(video, tmp_path / 'a').jpeg(0))
  most = 12 * one
  frames = frames_of(video, tmp_path, most=most)
  frames.start()
  for index in (0, 35):
    frames.jpeg(index)
    wait_until_quiet(frames)
    assert frames.is_kept(index)
    folder = tmp_path / 'kept'
    assert bytes_kept(folder) <= most
  assert not frames.is_kept(0)
  frames.close()


def test_a_disk_that_is_nearly_full_is_left_alone(video, tmp_path, monkeypatch):
  usage = shutil.disk_usage(tmp_path)._replace(free=(1 << 30) + 5000)
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage)
  frames = frames_of(video, tmp_path)
  frames.start()
  wait_until_quiet(frames)
  assert 0 < bytes_kept(tmp_path / 'kept') <= 5000
  frames.close()


def bytes_kept(folder):
  """On a busy machine one may be written, or go, meanwhile."""
  total = 0
  for path in folder.glob('*.jpg'):
    with contextlib.suppress(FileNotFoundError):
      total += path.stat().st_size
  return total


def wait_until_quiet(frames):
  before = None
  while before != (before := sorted(frames._store._sizes)):
    time.sleep(0.7)


def test_a_kept_frame_that_is_damaged_is_made_again(video, tmp_path):
  frames = frames_of(video, tmp_path)
  good = frames.jpeg(3)
  path = tmp_path / 'kept' / '000003.jpg'
  assert path.read_bytes() == good
  path.write_bytes(good[:-20])
  assert frames.jpeg(3) == good
  path.unlink()
  assert frames.jpeg(3) == good
  frames.close()


def test_nothing_is_decoded_ahead_while_others_work(video, tmp_path):
  frames = frames_of(video, tmp_path)
  frames.busy.set()
  frames.start()
  wait_until_quiet(frames)
  assert frames.kept == 0
  frames.busy.clear()
  wait_until_quiet(frames)
  assert frames.kept == COUNT
  frames.close()


def test_a_frame_that_is_not_there_is_told(video, tmp_path):
  frames = frames_of(video, tmp_path)
  for index in (-1, COUNT):
    with pytest.raises(errors.SavosError, match=f'no frame {index}'):
      frames.jpeg(index)
  frames.close()


def test_damaged_frames_are_told_and_the_others_are_kept(tmp_path):
  path = made_videos.write(
    tmp_path / 'a.avi', pictures(), EVEN, 'mjpeg', 'yuvj420p', unit=25
  )
  made_videos.damage(path, 20)
  video = sources.open_video(path)
  frames = frames_of(video, tmp_path)
  with pytest.raises(errors.SavosError, match='frame 20 cannot be decoded'):
    frames.jpeg(20)
  wait(frames, COUNT - 1)
  frames.close()
  assert not frames.is_kept(20)
  assert frames.is_kept(21)


def test_images_of_a_folder(tmp_path):
  folder = tmp_path / 'images'
  folder.mkdir()
  for number, image in enumerate(pictures()[:5]):
    cv2.imwrite(str(folder / f'shot_{number}.png'), image[..., ::-1])
  video = sources.open_video(folder)
  frames = frames_of(video, tmp_path)
  for index in (4, 0, 2):
    np.testing.assert_array_equal(frames.image(index), pictures()[index])
  frames.close()


def test_times_are_told_where_the_rate_varies(tmp_path):
  for name, times in (('even', EVEN), ('varying', VARYING)):
    path = made_videos.write(tmp_path / f'{name}.mp4', pictures(), times)
    found = session_lib.times(sources.open_video(path))
    if name == 'even':
      assert found is None
    else:
      np.testing.assert_allclose(found, np.subtract(times, 0.5), atol=1e-3)
