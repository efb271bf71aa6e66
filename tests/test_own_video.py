"""A video into a folder: whole, interrupted, gone on."""

import cv2
import jax
import numpy as np
import pytest

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.inference import tracker as tracker_lib
from savos_jax.video import own_video
from savos_jax.video import sources
from tests import tiny_resnets

MODEL = tiny_resnets.MODEL
SIZE = (40, 60)
FRAMES = 7
SETTING = {'video': 'clip', 'scales': [1.0]}


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  folder = tmp_path_factory.mktemp('clip')
  rng = np.random.default_rng(0)
  for number in range(FRAMES):
    frame = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    cv2.imwrite(str(folder / f'frame{number}.png'), frame)
  return sources.open_video(folder)


@pytest.fixture(scope='module')
def labels():
  drawn = np.zeros(SIZE, np.uint8)
  drawn[5:25, 5:25] = 1
  drawn[15:35, 30:55] = 4
  return drawn


@pytest.fixture(scope='module')
def tracker():
  return tracker_lib.Tracker(MODEL, tiny_resnets.network_params(MODEL))


@pytest.fixture(scope='module')
def whole(tracker, video, labels):
  """The labels of every frame, by the tracker alone."""
  tracker.start(video.first(), labels, (1, 4))
  return [labels, *(tracker.step(frame) for frame in video.frames(1))]


def segment(tracker, video, labels, folder, on_frame=lambda: None, **changes):
  seen = []
  timing = own_video.segment_video(
    tracker, video, labels, folder, SETTING | changes, seen.append, on_frame
  )
  return seen[0], timing


def assert_whole(folder, whole):
  paths = sorted((folder / 'masks').iterdir())
  assert [p.name for p in paths] == [f'frame{i}.png' for i in range(FRAMES)]
  for path, expected in zip(paths, whole, strict=True):
    np.testing.assert_array_equal(masks.read_mask(path), expected)


def interrupt_after(count, error=KeyboardInterrupt):
  left = iter(range(count - 1))

  def on_frame():
    if next(left, None) is None:
      raise error

  return on_frame


def test_masks_are_the_trackers(tracker, video, labels, whole, tmp_path):
  begun_with, timing = segment(tracker, video, labels, tmp_path)
  assert begun_with == 0
  assert_whole(tmp_path, whole)
  # Done: called again, it finds so, and holds nothing large.
  assert (tmp_path / 'progress.npz').stat().st_size < 1500
  assert segment(tracker, video, labels, tmp_path)[0] == FRAMES
  assert_whole(tmp_path, whole)
  assert timing.frames == FRAMES - 2
  assert 0 < timing.network < timing.total
  assert 0 < timing.first < timing.total


@pytest.mark.parametrize('count', [1, 2, 4, FRAMES])
def test_an_interrupted_run_goes_on_to_the_same_masks(
  tracker, video, labels, whole, tmp_path, count
):
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, labels, tmp_path, interrupt_after(count))
  kept = len(list((tmp_path / 'masks').iterdir()))
  assert kept == count
  begun_with, _ = segment(tracker, video, labels, tmp_path)
  # Before the second frame there is nothing to go on from but the first mask.
  assert begun_with == (count if count > 1 else 0)
  assert_whole(tmp_path, whole)


def test_a_killed_run_goes_on_from_an_earlier_frame(
  tracker, video, labels, whole, tmp_path, monkeypatch
):
  monkeypatch.setattr(own_video, '_SAVE_EVERY', 3)
  saves = []
  original = own_video._save_progress

  def first_save_only(*arguments):
    if not saves:
      original(*arguments)
    saves.append(arguments[2])

  monkeypatch.setattr(own_video, '_save_progress', first_save_only)
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, labels, tmp_path, interrupt_after(5))
  assert saves[0] == 3
  begun_with, _ = segment(tracker, video, labels, tmp_path)
  assert begun_with == 3
  assert_whole(tmp_path, whole)


def test_a_mask_that_was_not_written_does_not_count(
  tracker, video, labels, whole, tmp_path, monkeypatch
):
  original = masks.write_mask

  def full_disk(path, labels):
    if path.name == 'frame4.png':
      raise errors.SavosError(f'{path}: could not be written: disk full.')
    original(path, labels)

  monkeypatch.setattr(masks, 'write_mask', full_disk)
  with pytest.raises(errors.SavosError, match='disk full'):
    segment(tracker, video, labels, tmp_path)
  monkeypatch.setattr(masks, 'write_mask', original)
  segment(tracker, video, labels, tmp_path)
  assert_whole(tmp_path, whole)


def test_a_damaged_frame_keeps_what_is_done(
  tracker, video, labels, whole, tmp_path
):
  folder = tmp_path / 'clip'
  folder.mkdir()
  for path in video.images:
    (folder / path.name).write_bytes(path.read_bytes())
  broken = folder / 'frame4.png'
  content = broken.read_bytes()
  broken.write_bytes(content[:200])
  copy = sources.open_video(folder)
  out = tmp_path / 'out'
  with pytest.raises(errors.SavosError, match=r'frame4\.png'):
    segment(tracker, copy, labels, out)
  assert len(list((out / 'masks').iterdir())) == 4
  broken.write_bytes(content)
  begun_with, _ = segment(tracker, copy, labels, out)
  assert begun_with == 4
  assert_whole(out, whole)


def test_another_way_is_refused(tracker, video, labels, tmp_path):
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, labels, tmp_path, interrupt_after(3))
  with pytest.raises(errors.SavosError) as caught:
    segment(tracker, video, labels, tmp_path, scales=[0.5, 1.0])
  assert 'scales: [1.0] (now [0.5, 1.0])' in str(caught.value)


def test_damaged_progress_is_named(tracker, video, labels, tmp_path):
  (tmp_path / 'progress.npz').write_bytes(b'PK\x03\x04 cut')
  with pytest.raises(errors.SavosError, match=r'progress\.npz: damaged'):
    segment(tracker, video, labels, tmp_path)


def test_memory_does_not_grow_with_the_video(tracker, video, labels, tmp_path):
  """No more than a handful of frames is alive at any time."""

  class Frame(np.ndarray):
    alive = 0
    most = 0

    def __del__(self):
      if getattr(self, 'counted', False):
        Frame.alive -= 1

  class Long:
    name, width, height, length = 'long', SIZE[1], SIZE[0], 60

    def names(self, index):
      return f'{index:05d}'

    def first(self):
      return video.first()

    def frames(self, start=0):
      for _ in range(start, self.length):
        frame = video.first().view(Frame)
        frame.counted = True
        Frame.alive += 1
        Frame.most = max(Frame.most, Frame.alive)
        yield frame

  segment(tracker, Long(), labels, tmp_path)
  assert len(list((tmp_path / 'masks').iterdir())) == 60
  assert Frame.most < 15
  assert jax.tree.leaves(vars(tracker))
