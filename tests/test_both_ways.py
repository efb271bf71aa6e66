"""Videos segmented backwards, and in both directions."""

import numpy as np
import pytest

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.video import both_ways
from savos_jax.video import engine
from savos_jax.video import excerpts
from savos_jax.video import marks
from savos_jax.video import progress
from savos_jax.video import sinks
from savos_jax.video import sources
from tests import tiny_resnets
from tests import tiny_videos

SIZE = (40, 60)
FRAMES = 8


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  folder = tmp_path_factory.mktemp('clip')
  return tiny_videos.noise(folder, FRAMES, SIZE, '{:05d}')


@pytest.fixture(scope='module')
def turned(video, tmp_path_factory):
  """The same frames, the last one first."""
  target = tmp_path_factory.mktemp('turned')
  for number, path in enumerate(reversed(video.images)):
    (target / f'{number:05d}.png').write_bytes(path.read_bytes())
  return sources.open_video(target)


@pytest.fixture(scope='module')
def tracker():
  return tracker_lib.Tracker(tiny_resnets.MODEL, tiny_resnets.decided_params())


def drawn(*ids, shift=0):
  labels = np.zeros(SIZE, np.uint8)
  for object_id in ids:
    left = 20 * (object_id - 1) + shift
    labels[5:30, left : left + 18] = object_id
  return labels


class Kept(sinks.Sink):
  """Keeps what it is told."""

  name, soft = 'kept', True

  def __init__(self):
    self.told = []

  def begin(self, done):
    return 0

  def write(self, segmented):
    self.told.append(segmented)

  @property
  def labels(self):
    return np.stack([told.labels for told in self.told])


def segment(tracker, video, labels, out, advance=lambda *_: None, **ways):
  """Returns what a sink was told."""
  kept = Kept()
  if ways.pop('back', False):
    ways['backwards'] = out / 'aside'
  job = engine.Job(
    video,
    marks.of_labels(labels),
    sinks.Masks(out / 'masks', video.names),
    (kept,),
    progress.Progress(out, {'any': 1}),
    **ways,
  )
  with files.claimed(out):
    engine.segment([tracker], [job], advance)
  assert not (out / 'aside').exists()
  return kept


def test_backwards_is_forwards_of_the_turned_video(
  tracker, video, turned, tmp_path
):
  last = FRAMES - 1
  given = {last: drawn(1, 2), 4: drawn(2, shift=3)}
  back = segment(
    tracker, video, given, tmp_path / 'back', back=True, forwards=False
  )
  given = {last - index: labels for index, labels in given.items()}
  forth = segment(tracker, turned, given, tmp_path / 'forth')
  assert forth.labels.any(axis=(1, 2)).all()
  np.testing.assert_array_equal(back.labels, forth.labels[::-1])
  sure = [told.confidence for told in back.told]
  assert sure == [told.confidence for told in forth.told[::-1]]
  for told in back.told:
    written = masks.read_mask(tmp_path / 'back/masks' / f'{told.index:05d}.png')
    np.testing.assert_array_equal(written, told.labels)


def test_backwards_ends_at_the_last_mark(tracker, video, tmp_path):
  found = segment(
    tracker, video, {3: drawn(1)}, tmp_path, back=True, forwards=False
  )
  np.testing.assert_array_equal(found.labels[3], drawn(1))
  assert found.labels[:3].any(axis=(1, 2)).all()
  assert not found.labels[4:].any()
  assert [bool(told.confidence) for told in found.told] == [True] * 4 + 4 * [
    False
  ]


def test_before_and_behind_one_mark_each_way_is_alone(tracker, video, tmp_path):
  given = {3: drawn(1, 2)}
  both = segment(tracker, video, given, tmp_path / 'both', back=True)
  forth = segment(tracker, video, given, tmp_path / 'forth')
  back = segment(
    tracker, video, given, tmp_path / 'back', back=True, forwards=False
  )
  np.testing.assert_array_equal(both.labels[:4], back.labels[:4])
  np.testing.assert_array_equal(both.labels[3:], forth.labels[3:])


def test_between_two_marks_both_are_joined(tracker, video, tmp_path):
  """Each object between its own marks; what was given is never changed."""
  given = {0: drawn(1), 2: drawn(2), 6: drawn(1, 2, shift=2)}
  both = segment(tracker, video, given, tmp_path / 'both', back=True)
  forth = segment(tracker, video, given, tmp_path / 'forth')
  np.testing.assert_array_equal(both.labels[0] == 1, given[0] == 1)
  np.testing.assert_array_equal(both.labels[2] == 2, given[2] == 2)
  np.testing.assert_array_equal(both.labels[6], given[6])
  np.testing.assert_array_equal(both.labels[6:], forth.labels[6:])
  assert (both.labels[3:6] != forth.labels[3:6]).any(axis=(1, 2)).all()
  # Object 2 is followed back from its first mark.
  assert list(both.told[1].confidence) == [1, 2]
  assert list(forth.told[1].confidence) == [1]
  for told in both.told[3:6]:
    assert told.probabilities.shape == (2, *SIZE)
    assert (np.asarray(told.probabilities) <= 1).all()


def found(rows, sure):
  soft = np.stack([np.full(SIZE, row, np.float32) for row in rows])
  return both_ways.Found(
    np.zeros(SIZE, np.uint8), dict(zip((1, 2), sure, strict=False)), soft
  )


@pytest.mark.parametrize(
  ('index', 'sure', 'share'),
  [
    (2, (1.0, 1.0), 1),  # At the mark before.
    (4, (1.0, 1.0), 2 / 3),
    (3, (1.0, 1.0), 6 / 7),
    (5, (1.0, 0.5), 2 / 3.5),
    (5, (0.0, 0.5), 0),  # Lost on the way forwards.
    (4, (0.0, 0.0), 2 / 3),
  ],
)
def test_the_nearer_and_the_surer_way_weighs_more(
  tracker, video, index, sure, share
):
  """And that from the mark in which the object is twice as long."""
  small = np.zeros(SIZE, np.uint8)
  small[:5, :5] = 1
  given = marks.of_labels(
    {2: small.repeat(2, 0).repeat(2, 1)[:40, :60], 6: small}
  )
  tracker.start(video.frame(0), drawn(1), (1,))
  forth, back = (found([p], [s]) for p, s in zip((0.8, 0.2), sure, strict=True))
  joined = both_ways.Join(tracker, given)(index, forth, back)
  expected = share * 0.8 + (1 - share) * 0.2
  np.testing.assert_allclose(joined.probabilities, expected, atol=2e-5)
  assert (joined.labels == (expected > 0.5)).all()
  # What was given is sure.
  sure = 1.0 if index == 2 else expected * (expected > 0.5)
  assert joined.confidence == {1: pytest.approx(sure, abs=2e-5)}


@pytest.mark.parametrize('count', [2, 6, 9, 12, 15])
def test_an_interruption_changes_nothing(tracker, video, tmp_path, count):
  given = {1: drawn(1), 6: drawn(1, 2, shift=2)}
  once = segment(tracker, video, given, tmp_path / 'once', back=True)
  out, left = tmp_path / 'out', iter(range(count))

  def interrupt(job, frames):
    if next(left, None) is None:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, given, out, interrupt, back=True)
  again = segment(tracker, video, given, out, back=True)
  np.testing.assert_array_equal(once.labels, again.labels)
  assert [t.confidence for t in once.told] == [t.confidence for t in again.told]
  written = [p.read_bytes() for p in sorted((out / 'masks').iterdir())]
  expected = sorted((tmp_path / 'once/masks').iterdir())
  assert written == [path.read_bytes() for path in expected]


def test_damage_aside_is_named(tracker, video, tmp_path):
  given = {5: drawn(1)}

  def damage(job, frames):
    for path in (tmp_path / 'aside').glob('00000[0-9].npz'):
      path.write_bytes(b'PK')

  with pytest.raises(errors.SavosError, match=r'aside/00000\d.npz: damaged'):
    segment(tracker, video, given, tmp_path, damage, back=True)


def test_it_ends_when_all_is_lost(tracker, video, tmp_path, monkeypatch):
  monkeypatch.setattr(
    tracker_lib.Tracker,
    'confidences',
    property(lambda self: np.zeros(len(self.object_ids), np.float32)),
  )
  given = {1: drawn(1), 3: drawn(2)}
  found = segment(tracker, video, given, tmp_path, stop_when_lost=2)
  assert [told.index for told in found.told] == list(range(6))
  # It is done: nothing is segmented again.
  assert progress.Progress(tmp_path, {'any': 1}).read().whole


def test_a_mark_needs_its_frame(tracker, video, tmp_path, monkeypatch):
  shown = list(video.numbered())
  del shown[3]
  monkeypatch.setattr(
    type(video), 'numbered', lambda self, start=0: iter(shown[start:])
  )
  with pytest.raises(errors.SavosError, match='frame 3 has a mask'):
    segment(tracker, video, {0: drawn(1), 3: drawn(1)}, tmp_path)
  with pytest.raises(errors.SavosError, match='frame 3 has a mask'):
    segment(tracker, video, {3: drawn(1)}, tmp_path / 'again')


def test_a_part_keeps_names_and_numbers(video):
  part = excerpts.part(video, 1, 6, 2)
  assert (part.length, part.count()) == (3, 3)
  assert [part.names(index) for index in range(3)] == [
    '00001', '00003', '00005',
  ]  # fmt: skip
  assert [part.number(index) for index in range(3)] == [1, 3, 5]
  frames = list(part.numbered(1))
  assert [shown.index for shown in frames] == [1, 2]
  np.testing.assert_array_equal(frames[0].image, video.frame(3))
  np.testing.assert_array_equal(part.frame(2), video.frame(5))
  assert excerpts.part(video) is video
  assert not list(part.numbered(3))


@pytest.mark.parametrize(('first', 'last'), [(8, None), (0, 8)])
def test_a_part_that_is_not_there(video, first, last):
  with pytest.raises(errors.SavosError, match='8 frames, 0 to 7'):
    excerpts.part(video, first, last)


@pytest.mark.parametrize('last', [0, 4, 7])
def test_backwards_in_chunks(video, monkeypatch, last):
  monkeypatch.setattr(excerpts, '_CHUNK_BYTES', 3 * 3 * SIZE[0] * SIZE[1])
  back = excerpts.backwards(video, last)
  for start in range(last + 2):
    frames = list(back.numbered(start))
    assert [shown.index for shown in frames] == list(range(start, last + 1))
    for shown in frames:
      np.testing.assert_array_equal(
        shown.image, video.frame(last - shown.index)
      )
  assert back.names(0) == f'{last:05d}'
  np.testing.assert_array_equal(back.frame(last), video.frame(0))


def test_what_a_part_lacks_is_told(video, monkeypatch):
  shown = [s for s in video.numbered() if s.index not in (2, 4)]
  monkeypatch.setattr(
    type(video),
    'numbered',
    lambda self, start=0: (s for s in shown if s.index >= start),
  )
  with pytest.raises(errors.Incomplete, match='decoded: 4'):
    list(excerpts.part(video, 3, 6).numbered())
  assert len(list(excerpts.part(video, 1, 7, 2).numbered())) == 4
  back = list(excerpts.backwards(video, 5).numbered())
  assert [shown.index for shown in back] == [0, 2, 4, 5]


def test_a_mark_of_all_objects_leaves_nothing_of_what_was_before(
  video, tmp_path
):
  tracker = tracker_lib.Tracker(
    tiny_resnets.LOOKING_BACK,
    tiny_resnets.looking_back_params(),
    options.InferenceConfig(memory_frames=3, memory_every=2),
  )
  behind = {5: drawn(1, 2, shift=2)}
  found = []
  for name, before in (
    ('one', {0: drawn(1, 2)}),
    # In another order, and another number of frames before.
    ('other', {1: drawn(2), 2: drawn(1, shift=4)}),
  ):
    kept = segment(tracker, video, {**before, **behind}, tmp_path / name)
    found.append([np.asarray(told.probabilities) for told in kept.told[5:]])
  np.testing.assert_array_equal(*found)
