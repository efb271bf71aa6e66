"""Whatever is marked, followed, stopped, taken back: the engine's masks."""

import functools

import numpy as np
import pytest

from savos_jax.foundation import files
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.studio import propagation
from savos_jax.studio import session as session_lib
from savos_jax.video import engine
from savos_jax.video import marks as marks_lib
from savos_jax.video import sinks
from savos_jax.video import sources
from tests import studio_projects as projects
from tests import tiny_resnets

# It remembers frames, so that what it knows depends on how it came there.
CONFIG = options.InferenceConfig(memory_frames=3, memory_every=2)
FRAMES = projects.FRAMES


@functools.cache
def tracker(aspect: float = 1.0):
  return tracker_lib.Tracker(
    tiny_resnets.LOOKING_BACK,
    tiny_resnets.looking_back_params(),
    CONFIG,
    aspect,
  )


def network():
  return session_lib.Network(tracker, 'looking back', {})


def engine_masks(clip, out, told, direction):
  """Returns the masks of the engine, [N, H, W]."""
  video = sources.open_video(clip)
  masks = sinks.Masks(out / 'masks', video.names)
  job = engine.Job(
    video,
    marks_lib.of_labels({i: t.labels() for i, t in told.items()}),
    masks,
    forwards=direction != 'backward',
    backwards=None if direction == 'forward' else out / 'aside',
  )
  with files.claimed(out):
    engine.segment([tracker()], [job])
  return [masks.read(index) for index in range(FRAMES)]


def propagate(session, rng, monkeypatch):
  """Goes a random way for some frames, and stops somewhere, it may be."""
  direction = propagation.DIRECTIONS[rng.integers(3)]
  start = int(rng.integers(FRAMES))
  ends = {'forward': (start, FRAMES), 'backward': (0, start + 1)}
  end = int(rng.integers(*ends.get(direction, (0, FRAMES))))
  end = (end, 'mark', None)[rng.integers(3)]
  column = propagation.DIRECTIONS.index(direction)
  first, last = session.range_of(direction, start, end)
  ways = session.ways()
  if not any(ways.keys(i)[column] for i in range(first, last + 1)):
    return
  left = int(rng.integers(1, 12))

  def check(job):
    nonlocal left
    left -= 1
    if left == 0:
      raise propagation.Stopped

  with monkeypatch.context() as patched:
    patched.setattr('savos_jax.studio.jobs.Job.check', check)
    session.propagate(direction, start, end)
    assert projects.wait(session)['state'] in ('done', 'stopped')


def act(session, rng, monkeypatch):
  """Does something that a person may do."""
  index = int(rng.integers(FRAMES))
  what = rng.integers(5)
  told = session.project.told
  if what == 0 and len(told) > 1:
    session.unmark(list(told)[rng.integers(len(told))])
  elif what <= 1:
    ids = ((1,), (2,), (1, 2), (1, 2))[rng.integers(4)]
    # Not where the square is: a correction that shows.
    session.mark(index, projects.drawn(int(rng.integers(9)), *ids), None)
  else:
    propagate(session, rng, monkeypatch)


@pytest.mark.parametrize('seed', range(6))
def test_the_masks_are_those_of_the_engine(clip, tmp_path, monkeypatch, seed):
  rng = np.random.default_rng(seed)
  monkeypatch.setattr(projects, 'network', network)
  folder = tmp_path / 'project'
  with projects.opened(folder, clip) as session:
    for _ in range(2):
      session.project.add_object(None, None)
    session.mark(int(rng.integers(FRAMES)), projects.drawn(0, 1, 2), None)
    for _ in range(12):
      act(session, rng, monkeypatch)
  with projects.opened(folder, None) as session:
    told = session.project.told
    for direction in propagation.DIRECTIONS:
      expected = engine_masks(clip, tmp_path / direction, told, direction)
      # What is said to be right is, whichever way it was found.
      column = propagation.DIRECTIONS.index(direction)
      ways, computed = session.ways(), session.results.computed
      right = [
        i for i in range(FRAMES)
        if i in computed and computed[i].key == ways.keys(i)[column]
      ]  # fmt: skip
      for index in right:
        np.testing.assert_array_equal(
          session.results.labels(index), expected[index]
        )
      session.propagate(direction, FRAMES - 1 if column == 1 else 0, None)
      assert projects.wait(session)['state'] == 'done'
      for index in range(FRAMES):
        found = session.results.labels(index)
        if ways.keys(index)[column]:
          np.testing.assert_array_equal(found, expected[index])
      assert session.marked()['stale'] == [] or direction != 'both'
