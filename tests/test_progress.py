"""A video into a folder: whole, interrupted, gone on."""

import dataclasses

import jax
import numpy as np
import pytest

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import manifests
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.pictures import overlay
from savos_jax.video import engine
from savos_jax.video import marks
from savos_jax.video import progress
from savos_jax.video import sinks
from savos_jax.video import sources
from savos_jax.video import video_file
from tests import tiny_resnets
from tests import tiny_videos

MODEL = tiny_resnets.MODEL
SIZE = (40, 60)
FRAMES = 7
# They tell of an interruption, or what they list does.
UNCOMPARED = (progress.FILE, manifests.FILE, '.savos_jax.lock')
SETTING = {'video': 'clip', 'scales': [1.0]}


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  folder = tmp_path_factory.mktemp('clip')
  return tiny_videos.noise(folder, FRAMES, SIZE, 'frame{}')


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
  tracker.start(video.frame(0), labels, (1, 4))
  return [labels, *(tracker.step(frame) for frame in video.frames(1))]


def films(folder, video):
  """A video and a picture a frame, besides the masks."""
  return (
    sinks.Film(folder / 'overlay.mp4', 10.0, overlay.draw),
    sinks.Pictures(folder / 'drawn', video.names, overlay.draw),
  )


def segment(
  tracker, video, labels, folder, on_frame=lambda: None, more=(), **changes
):
  """Returns how many frames an earlier run had done, and the timing."""
  seen = []

  def advance(job, frames):
    seen.append(frames)
    if len(seen) > 1:
      on_frame()

  job = engine.Job(
    video,
    labels if isinstance(labels, marks.Marks) else marks.of_labels({0: labels}),
    sinks.Masks(folder / 'masks', video.names),
    more,
    progress.Progress(folder, SETTING | changes),
  )
  with files.claimed(folder):
    timing = engine.segment([tracker], [job], advance)
  return seen[0], timing


def files_in(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob('*'))
    if path.is_file() and path.name not in UNCOMPARED
  }


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
  assert (tmp_path / 'progress.npz').stat().st_size < 3500
  assert segment(tracker, video, labels, tmp_path)[0] == FRAMES
  assert_whole(tmp_path, whole)
  assert timing.steady_frames == FRAMES - 2
  assert 0 < timing.steady < timing.total
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
  assert begun_with == count
  assert_whole(tmp_path, whole)


def test_a_killed_run_goes_on_from_an_earlier_frame(
  tracker, video, labels, whole, tmp_path, monkeypatch
):
  monkeypatch.setattr(engine, '_SAVE_EVERY', 3)
  # A killed process saves nothing on its way out.
  monkeypatch.setattr(engine._Engine, 'save', lambda self: None)
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, labels, tmp_path, interrupt_after(5))
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
  monkeypatch.undo()
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


class Table(sinks.Sink):
  """Is told all frames each time."""

  name = 'table'

  def __init__(self):
    self.rows = []

  def begin(self, done):
    return 0

  def write(self, segmented):
    self.rows.append((segmented.index, segmented.confidence))


def test_confidence_is_told_again(tracker, video, labels, tmp_path):
  once, first, second, third = Table(), Table(), Table(), Table()
  segment(tracker, video, labels, tmp_path / 'once', more=(once,))
  assert once.rows[0] == (0, {1: 1.0, 4: 1.0})
  assert all(0 <= s < 1 for _, sure in once.rows[1:] for s in sure.values())
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, labels, tmp_path, interrupt_after(4), (first,))
  segment(tracker, video, labels, tmp_path, more=(second,))
  assert second.rows == once.rows
  third.name = 'another'
  segment(tracker, video, labels, tmp_path, more=(third,))
  assert third.rows == once.rows


def test_another_way_is_refused(tracker, video, labels, tmp_path):
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, labels, tmp_path, interrupt_after(3))
  with pytest.raises(errors.SavosError) as caught:
    segment(tracker, video, labels, tmp_path, scales=[0.5, 1.0])
  assert 'scales: [1.0] (now [0.5, 1.0])' in str(caught.value)


@pytest.mark.parametrize(
  'changed',
  [
    {'setting': '[' * 10**5},
    {'setting': '[1]'},
    {'sinks': '3'},
    {'done': np.inf},
    {'lost': np.zeros(1, object)},
    {'objects': np.zeros(2, np.uint8)},
    {'ids': np.zeros(0, np.uint8)},
    {'state_0': np.zeros(1, object)},
    {'whole': np.ones(2)},
  ],
)
def test_progress_is_not_believed(tmp_path, changed):
  kept = progress.Progress(tmp_path, SETTING)
  kept.save(progress.Done(3, ('masks',), [np.ones(2)], sure=[{}, {}, {1: 0.5}]))
  with np.load(tmp_path / progress.FILE) as stored:
    np.savez(tmp_path / progress.FILE, **{**stored, **changed})
  with pytest.raises(errors.SavosError, match=r'progress\.npz: damaged'):
    kept.read()
  np.savez_compressed(tmp_path / progress.FILE, state_0=np.zeros(1 << 20))
  with pytest.raises(errors.SavosError, match=r'damaged: compressed'):
    kept.read()


def test_what_a_tracker_goes_on_with_is_compared(tracker, video, labels):
  tracker.start(video.frame(0), labels, (1, 4))
  tracker.step(video.frame(1))
  state = [np.asarray(x) for x in tracker.state()]
  tracker.restore(state)
  for wrong in (
    [],
    state[:2],
    [*state, state[0]],
    [state[0], state[0], state[2]],
  ):
    with pytest.raises(errors.SavosError, match='a memory of arrays'):
      tracker.restore(wrong)
  with pytest.raises(errors.SavosError, match='probabilities of shape'):
    tracker.restore([state[1], *state[1:]])


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

    def frame(self, index):
      return video.frame(index)

    def numbered(self, start=0):
      for index in range(start, self.length):
        frame = video.frame(0).view(Frame)
        frame.counted = True
        Frame.alive += 1
        Frame.most = max(Frame.most, Frame.alive)
        yield video_file.Shown(index, None, frame)

  segment(tracker, Long(), labels, tmp_path)
  assert len(list((tmp_path / 'masks').iterdir())) == 60
  assert Frame.most < 15
  assert jax.tree.leaves(vars(tracker))


@pytest.mark.parametrize('killed', [False, True])
@pytest.mark.parametrize('count', [1, 3, 5, FRAMES])
def test_all_that_is_made_is_the_same_after_an_interruption(
  tracker, video, labels, tmp_path, monkeypatch, count, killed
):
  """Byte for byte, at a part's end and within one."""
  monkeypatch.setattr(sinks, '_PART_FRAMES', 3)
  monkeypatch.setattr(engine, '_SAVE_EVERY', 2)
  whole, folder = tmp_path / 'whole', tmp_path / 'out'
  segment(tracker, video, labels, whole, more=films(whole, video))
  with monkeypatch.context() as patch:
    if killed:
      patch.setattr(engine._Engine, 'save', lambda self: None)
    with pytest.raises(KeyboardInterrupt):
      segment(
        tracker,
        video,
        labels,
        folder,
        interrupt_after(count),
        films(folder, video),
      )
  if killed:
    for name in ('masks', '.overlay.mp4.parts'):
      (folder / name).mkdir(exist_ok=True)
      half = folder / name / '.frame4.0123456789ab.part.png'
      half.write_bytes(b'half')
  segment(tracker, video, labels, folder, more=films(folder, video))
  assert files_in(folder) == files_in(whole)
  assert len(files_in(whole)) == 2 * FRAMES + 1


def test_what_is_asked_for_later_is_made_from_the_masks(
  tracker, video, labels, tmp_path
):
  whole, folder = tmp_path / 'whole', tmp_path / 'out'
  segment(tracker, video, labels, whole, more=films(whole, video))
  # Of an interrupted run, and of one that is done: the network has no part.
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, labels, folder, interrupt_after(4))
  film, pictures = films(folder, video)
  segment(tracker, video, labels, folder, more=(film,))
  # A picture of other masks is not taken for one of these.
  with files.claimed(folder):
    overlay.write_png(
      folder / 'drawn' / 'frame0.png', np.zeros((9, 9, 3), np.uint8)
    )
  _, timing = segment(tracker, video, labels, folder, more=(film, pictures))
  assert timing.steady_frames == 0
  assert files_in(folder) == files_in(whole)
  # And what is whole is left alone.
  before = (folder / 'overlay.mp4').stat().st_mtime_ns
  segment(tracker, video, labels, folder, more=films(folder, video))
  assert (folder / 'overlay.mp4').stat().st_mtime_ns == before


def test_masks_that_are_gone_are_made_again(
  tracker, video, labels, whole, tmp_path, caplog
):
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, labels, tmp_path, interrupt_after(5))
  (tmp_path / 'masks' / 'frame2.png').unlink()
  begun_with, _ = segment(tracker, video, labels, tmp_path)
  assert begun_with == 0
  assert_whole(tmp_path, whole)
  assert 'frame2.png: no such file, one of 1 masks' in caplog.text
  (tmp_path / 'masks' / 'frame6.png').unlink()
  segment(tracker, video, labels, tmp_path)
  assert_whole(tmp_path, whole)


@dataclasses.dataclass(frozen=True)
class Damaged:
  """A video without frames 2 and 3."""

  video: sources.Video
  name, path, width, height, length = 'x', 'damaged', SIZE[1], SIZE[0], FRAMES

  def names(self, index):
    return self.video.names(index)

  def number(self, index):
    return index

  def frame(self, index):
    return self.video.frame(index)

  def numbered(self, start=0):
    for shown in self.video.numbered(start):
      if shown.index not in (2, 3):
        yield shown
    lost = [index for index in (2, 3) if index >= start]
    if lost:
      raise video_file.incomplete(self.path, FRAMES, lost)


@pytest.mark.parametrize('count', [2, 3, FRAMES - 2])
def test_a_video_with_holes_is_done_and_says_so_each_time(
  tracker, video, labels, tmp_path, monkeypatch, count
):
  monkeypatch.setattr(sinks, '_PART_FRAMES', 3)
  damaged, folders = Damaged(video), (tmp_path / 'whole', tmp_path / 'out')
  with pytest.raises(KeyboardInterrupt):
    segment(
      tracker, damaged, labels, folders[1], interrupt_after(count),
      films(folders[1], video),
    )  # fmt: skip
  for folder in (*folders, *folders):
    with pytest.raises(errors.Incomplete, match='decoded: 2 to 3'):
      segment(tracker, damaged, labels, folder, more=films(folder, video))
  assert files_in(folders[0]) == files_in(folders[1])
  # With masks alone nothing is decoded again: what is lost is remembered.
  alone = tmp_path / 'alone'
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, damaged, labels, alone, interrupt_after(count))
  with pytest.raises(errors.Incomplete, match='decoded: 2 to 3'):
    segment(tracker, damaged, labels, alone)
  found = sorted(path.stem for path in (folders[0] / 'masks').iterdir())
  assert found == [f'frame{i}' for i in (0, 1, 4, 5, 6)]
  # Where frames are missing the film stands still.
  film = sources.open_video(folders[0] / 'overlay.mp4')
  found = [shown.seconds for shown in film.numbered()]
  np.testing.assert_allclose(found, [0, 0.1, 0.4, 0.5, 0.6], atol=1e-4)


@pytest.mark.parametrize('count', [2, 4, 5])
def test_later_marks_are_kept_over_an_interruption(
  video, labels, tmp_path, count
):
  """An object enters at frame 3, with the union as the background."""
  tracker = tracker_lib.Tracker(
    MODEL,
    tiny_resnets.drawn_params(),
    options.InferenceConfig(background='merged'),
  )
  late = np.where(labels == 4, 9, 0).astype(np.uint8)
  given = marks.of_labels({0: labels, 3: late})
  segment(tracker, video, given, tmp_path / 'whole')
  probabilities = np.asarray(tracker.probabilities)
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, given, tmp_path / 'out', interrupt_after(count))
  segment(tracker, video, given, tmp_path / 'out')
  assert files_in(tmp_path / 'out') == files_in(tmp_path / 'whole')
  np.testing.assert_array_equal(tracker.probabilities, probabilities)
