"""Masks of the studio: those of the engine, and no more of them than needed."""

import contextlib

import numpy as np
import pytest

from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.inference import tracker as tracker_lib
from savos_jax.studio import jobs
from savos_jax.studio import propagation
from savos_jax.video import engine
from savos_jax.video import marks as marks_lib
from savos_jax.video import sinks
from savos_jax.video import sources
from tests import made_videos
from tests import studio_projects as projects

LAST = projects.FRAMES - 1


@pytest.fixture
def session(clip, tmp_path):
  with projects.opened(tmp_path / 'project', clip) as session:
    for _ in range(2):
      session.project.add_object(None, None)
    yield session


def reference(clip, out, labels, direction='forward'):
  """Returns the masks of the engine with such marks, [N, H, W]."""
  video = sources.open_video(clip)
  masks = sinks.Masks(out / 'masks', video.names)
  job = engine.Job(
    video,
    marks_lib.of_labels(labels),
    masks,
    forwards=direction != 'backward',
    backwards=None if direction == 'forward' else out / 'aside',
  )
  tracker = tracker_lib.Tracker(projects.MODEL, projects.params())
  with files.claimed(out), contextlib.suppress(errors.Incomplete):
    engine.segment([tracker], [job])
  there = [i for i in range(projects.FRAMES) if masks.path(i).is_file()]
  return np.stack([masks.read(index) for index in there])


def mark(session, labels, ids=None):
  for index, drawn in labels.items():
    session.mark(index, drawn, ids)


def run(session, direction, start, end=None, state='done'):
  """Propagates; returns the frames that were computed."""
  computed = []
  tell, session.hub.tell = session.hub.tell, computed.append
  session.propagate(direction, start, end)
  found = projects.wait(session)
  session.hub.tell = tell
  assert found['state'] == state, found
  return [each['frame'] for each in computed if each['type'] == 'frame']


def masks_of(session):
  found = [session.results.labels(i) for i in range(projects.FRAMES)]
  empty = np.zeros(projects.SIZE, np.uint8)
  return np.stack([empty if each is None else each for each in found])


# Of both objects at once, of one, and of one that enters late.
MARKS = {
  'one': {0: (1, 2)},
  'middle': {4: (1, 2)},
  'corrected': {0: (1, 2), 5: (1, 2)},
  'of one alone': {1: (1, 2), 4: (2,), 7: (1,)},
  'late': {2: (2,), 6: (1, 2), 8: (1,)},
}


@pytest.mark.parametrize('marked', MARKS.values(), ids=MARKS)
@pytest.mark.parametrize('direction', propagation.DIRECTIONS)
def test_masks_are_those_of_the_engine(
  session, clip, tmp_path, marked, direction
):
  labels = {i: projects.drawn(i, *ids) for i, ids in marked.items()}
  mark(session, labels)
  start = LAST if direction == 'backward' else 0
  run(session, direction, start)
  expected = reference(clip, tmp_path / 'engine', labels, direction)
  np.testing.assert_array_equal(masks_of(session), expected)
  # The marked frames' masks differ from each other: the comparison says much.
  assert len({each.tobytes() for each in expected}) > len(marked)


def test_it_goes_on_from_where_it_was_stopped(
  session, clip, tmp_path, monkeypatch
):
  labels = {0: projects.drawn(0, 1, 2), 3: projects.drawn(3, 2)}
  mark(session, labels)
  checks, steps = [], []
  check, step = jobs.Job.check, tracker_lib.Tracker.step

  def stop_soon(job):
    checks.append(1)
    if len(checks) == 6:
      job.stop()
    check(job)

  def counted(tracker, frame):
    steps.append(1)
    return step(tracker, frame)

  with monkeypatch.context() as patched:
    patched.setattr(jobs.Job, 'check', stop_soon)
    assert run(session, 'forward', 0, state='stopped') == [0, 1, 2, 3, 4]
  monkeypatch.setattr(tracker_lib.Tracker, 'step', counted)
  rest = run(session, 'forward', 0)
  assert rest == [5, 6, 7, 8, 9]
  assert len(steps) == 5  # No frame is followed again.
  expected = reference(clip, tmp_path / 'engine', labels)
  np.testing.assert_array_equal(masks_of(session), expected)
  assert run(session, 'forward', 0) == []


def test_what_is_lost_of_a_state_is_computed_again(session, clip, tmp_path):
  mark(session, {0: projects.drawn(0, 1, 2)})
  run(session, 'forward', 0, 4)
  states = session.project.folder / '.states'
  states.joinpath('f00000004.npz').write_bytes(b'damaged')
  states.joinpath('f00000003.npz').touch()
  assert run(session, 'forward', 0) == [5, 6, 7, 8, 9]
  expected = reference(clip, tmp_path / 'engine', {0: projects.drawn(0, 1, 2)})
  np.testing.assert_array_equal(masks_of(session), expected)


def test_a_state_of_other_marks_is_not_gone_on_from(session, clip, tmp_path):
  labels = {0: projects.drawn(3, 1, 2), LAST: projects.drawn(LAST, 1, 2)}
  mark(session, labels)
  run(session, 'forward', 0, 4)
  labels[0] = projects.drawn(0, 1, 2)
  mark(session, {0: labels[0]})
  run(session, 'both', 0)
  assert run(session, 'forward', 5) == [5, 6, 7, 8]
  expected = reference(clip, tmp_path / 'engine', labels)
  np.testing.assert_array_equal(masks_of(session)[5:], expected[5:])


def test_a_correction_changes_what_lies_up_to_the_next_marks(
  session, clip, tmp_path
):
  labels = {0: projects.drawn(0, 1), 6: projects.drawn(6, 1)}
  mark(session, labels)
  run(session, 'forward', 0)
  assert session.marked()['stale'] == []
  labels[3] = projects.drawn(4, 1)
  mark(session, {3: labels[3]})
  assert session.marked()['stale'] == [[4, 5]]
  assert run(session, 'forward', 0) == [3, 4, 5]
  expected = reference(clip, tmp_path / 'engine', labels)
  np.testing.assert_array_equal(masks_of(session), expected)
  # Backwards, it changes the other side, and joined both.
  assert run(session, 'both', 0) == [1, 2, 4, 5]
  labels[3] = projects.drawn(3, 1)
  mark(session, {3: labels[3]})
  assert session.marked()['stale'] == [[1, 2], [4, 5]]
  assert run(session, 'both', 3, 'mark') == [1, 2, 3, 4, 5]
  expected = reference(clip, tmp_path / 'both', labels, 'both')
  np.testing.assert_array_equal(masks_of(session), expected)


def test_a_mark_of_one_object_may_change_the_others(session):
  mark(session, {0: projects.drawn(0, 1, 2), 6: projects.drawn(6, 1)})
  run(session, 'forward', 0)
  mark(session, {3: projects.drawn(3, 1)})
  # The one behind it holds one of both alone: the other goes through.
  assert session.marked()['stale'] == [[4, 5], [7, 9]]


def test_a_mark_that_is_taken_back_leaves_what_was_found(session):
  mark(session, {0: projects.drawn(0, 1)})
  run(session, 'forward', 0)
  before = masks_of(session)
  mark(session, {4: projects.drawn(0, 1)})
  assert not np.array_equal(masks_of(session)[4], before[4])
  assert session.marked()['stale'] == [[5, 9]]
  session.unmark(4)
  np.testing.assert_array_equal(masks_of(session), before)
  assert session.marked()['stale'] == []
  session.unmark(0)
  assert session.results.labels(0) is None
  assert session.marked()['stale'] == [[1, 9]]


def test_marks_that_go_while_the_network_is_loaded(session, monkeypatch):
  mark(session, {0: projects.drawn(0, 1)})
  load = session._load

  def unmark_and_load():
    session.unmark(0)
    return load()

  monkeypatch.setattr(session, '_load', unmark_and_load)
  assert run(session, 'forward', 0) == []


def test_marks_stay_as_they_were_drawn(session):
  drawn = {0: projects.drawn(0, 1), 4: projects.drawn(4, 1, 2)}
  mark(session, drawn)
  paths = {i: session.project.mark_path(i) for i in drawn}
  before = {i: path.read_bytes() for i, path in paths.items()}
  for direction, start in (('forward', 0), ('backward', LAST), ('both', 0)):
    run(session, direction, start)
    assert {i: path.read_bytes() for i, path in paths.items()} == before
    for index, labels in drawn.items():
      found = session.results.labels(index)
      ids = session.project.told[index].all_ids
      np.testing.assert_array_equal(
        np.where(np.isin(found, ids), found, 0), labels
      )


def test_a_mark_drawn_meanwhile_is_not_painted_over(session):
  mark(session, {0: projects.drawn(0, 1)})
  new = projects.drawn(9, 1)
  write = session.results.write

  def slow(index, labels, computed):
    if index == 3:
      session.mark(5, new, None)
    write(index, labels, computed)

  session.results.write = slow
  run(session, 'forward', 0)
  np.testing.assert_array_equal(session.results.labels(5), new)
  # What was computed behind it does not know it yet.
  assert session.marked()['stale'] == [[6, 9]]


def test_an_object_ends_where_it_is_dropped(session):
  mark(session, {0: projects.drawn(0, 1, 2)})
  session.project.change_object(2, {'until': 2})
  run(session, 'forward', 0)
  found = masks_of(session)
  assert (found[:2] == 2).any(axis=(1, 2)).all()
  assert not (found[2:] == 2).any()
  assert (found[2:] == 1).any()
  session.project.change_object(2, {'until': None})
  assert session.marked()['stale'] == [[2, 9]]


def test_an_object_that_is_said_not_to_be_there_is_not(session):
  mark(session, {0: projects.drawn(0, 1, 2)})
  run(session, 'forward', 0)
  mark(session, {4: projects.drawn(4, 2)}, (1, 2))
  run(session, 'forward', 0)
  assert session.project.told[4].absent == (1,)
  assert not (session.results.labels(4) == 1).any()
  assert (session.results.labels(4) == 2).any()
  assert session.results.computed[4].confidence[1] == 1.0
  # Nor does it guide what comes, as it does where nothing is said of it.
  gone = masks_of(session)
  mark(session, {4: projects.drawn(4, 2)}, (2,))
  run(session, 'forward', 0)
  assert (masks_of(session)[5] == 1).sum() != (gone[5] == 1).sum()


def test_nothing_is_followed_where_nothing_is_marked(session):
  with pytest.raises(Exception, match='nothing is marked in frames 3 to 9'):
    session.propagate('forward', 3, None)
  mark(session, {5: projects.drawn(5, 1)})
  with pytest.raises(Exception, match='nothing is marked in frames 6 to 8'):
    session.propagate('backward', 8, 6)
  assert run(session, 'forward', 3, 'mark') == [5]
  assert run(session, 'backward', 5, 4) == [4]


def test_one_thing_at_a_time(session):
  mark(session, {0: projects.drawn(0, 1)})
  session.propagate('forward', 0, None)
  with pytest.raises(jobs.Busy, match='busy: propagate'):
    session.propagate('forward', 0, None)
  projects.wait(session)


def test_what_is_passed_on_the_way_gets_its_mask(session, clip, tmp_path):
  mark(session, {2: projects.drawn(2, 1, 2)})
  assert run(session, 'forward', 6, 7) == [2, 3, 4, 5, 6, 7]
  assert run(session, 'backward', 0, 0) == [1, 0]
  labels = {2: projects.drawn(2, 1, 2)}
  expected = reference(clip, tmp_path / 'engine', labels, 'both')
  np.testing.assert_array_equal(masks_of(session)[:8], expected[:8])
  # Nothing that is right is done again for it.
  assert run(session, 'forward', 9) == [8, 9]


def test_frames_that_are_missing_hold_nothing_up(tmp_path):
  damaged = projects.clip(
    tmp_path / 'clip.avi', codec='mjpeg', pixels='yuvj420p', unit=25
  )
  made_videos.damage(damaged, 4)
  with projects.opened(tmp_path / 'project', damaged) as session:
    for _ in range(2):
      session.project.add_object(None, None)
    mark(session, {0: projects.drawn(0, 1), LAST: projects.drawn(LAST, 1)})
    for direction, start in (('forward', 0), ('backward', LAST), ('both', 0)):
      run(session, direction, start)
      assert session.marked()['computed'] == [[0, 3], [5, 9]]
    assert run(session, 'both', 0) == []
    seen = reference(damaged, tmp_path / 'engine', {
      0: projects.drawn(0, 1), LAST: projects.drawn(LAST, 1)
    }, 'both')  # fmt: skip
    np.testing.assert_array_equal(masks_of(session)[5:], seen[4:])
    mark(session, {4: projects.drawn(4, 1)})
    session.propagate('forward', 0, None)
    assert 'frame 4 has a mark and cannot' in projects.wait(session)['error']
