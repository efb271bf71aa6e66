"""Masks refined by a dense CRF, from the mean field to the files."""

import dataclasses
import importlib.util
import sys

import cv2
import numpy as np
import pytest

from savos_jax import settings
from savos_jax.configs import default
from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.inference import dense_crf
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.video import engine
from savos_jax.video import marks
from savos_jax.video import progress
from savos_jax.video import sinks
from tests import tiny_resnets
from tests import tiny_videos

ON = options.InferenceConfig(crf=True)
# Smooths what a network finds in noise.
SMOOTH = options.InferenceConfig(
  crf=True, crf_gaussian_sxy=2.0, crf_gaussian_weight=6.0, crf_iterations=3
)
SIZE = (40, 60)
FRAMES = 7

needs_library = pytest.mark.skipif(
  importlib.util.find_spec('pydensecrf') is None,
  reason='pydensecrf is not installed',
)


# --- The mean field. ----------------------------------------------------------


def kernel(features):
  """Normalised as Krähenbühl and Koltun do, [N, N]; a pixel sees itself."""
  distances = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
  found = np.exp(-0.5 * distances)
  norm = 1.0 / np.sqrt(found.sum(axis=1))
  return norm[:, None] * found * norm


def brute_force(frame, classes, config):
  """Returns the mean field of all pairs of pixels, in float64."""
  count, height, width = classes.shape
  places = np.indices((height, width)).reshape(2, -1).T
  colours = frame.reshape(-1, 3) / config.crf_bilateral_srgb
  both = np.concatenate([places / config.crf_bilateral_sxy, colours], axis=1)
  weights = config.crf_gaussian_weight * kernel(
    places / config.crf_gaussian_sxy
  ) + config.crf_bilateral_weight * kernel(both)
  unary = np.log(np.clip(classes.astype(np.float64), 1e-7, 1.0))
  unary = unary.reshape(count, -1)

  def normalised(logits):
    found = np.exp(logits - logits.max(axis=0))
    return found / found.sum(axis=0)

  found = normalised(unary)
  for _ in range(config.crf_iterations):
    found = normalised(unary + found @ weights)
  return found.reshape(classes.shape)


def picture(rng, height=24, width=32):
  """Returns a frame with soft shapes and a little noise."""
  coarse = rng.uniform(0, 255, (4, 5, 3)).astype(np.float32)
  frame = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
  frame += rng.normal(0, 3, frame.shape)
  return frame.clip(0, 255).astype(np.uint8)


def drawn_classes(rng, count, height=24, width=32):
  coarse = rng.normal(0, 2, (4, 5, count)).astype(np.float32)
  logits = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
  odds = np.exp(logits.reshape(height, width, count).transpose(2, 0, 1))
  return odds / odds.sum(axis=0)


KERNELS = {
  'default': ON,
  'wide': dataclasses.replace(
    ON, crf_gaussian_sxy=3.0, crf_bilateral_sxy=6.0, crf_bilateral_srgb=30.0
  ),
  'heavy': dataclasses.replace(
    ON, crf_gaussian_sxy=1.5, crf_gaussian_weight=3.0, crf_bilateral_weight=5.0
  ),
}


@needs_library
@pytest.mark.parametrize('count', [2, 4])
def test_kernels_as_wide_as_some_pixels_are_near_to_brute_force(count):
  """The lattice's error is a fraction of what the CRF changes."""
  rng = np.random.default_rng(count)
  frame, classes = picture(rng), drawn_classes(rng, count)
  config = dataclasses.replace(
    ON, crf_gaussian_sxy=3.0, crf_bilateral_sxy=6.0, crf_bilateral_srgb=30.0
  )
  expected = brute_force(frame, classes, config)
  found = dense_crf.mean_field(frame, classes.astype(np.float32), config)
  assert np.abs(found - expected).max() < 0.08
  assert np.abs(classes - expected).max() > 0.35
  np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-5)


@needs_library
def test_with_the_published_kernels_too():
  """Narrow in colour, a pixel may fall on either side of the lattice."""
  found, expected, before = [], [], []
  for seed in range(4):
    rng = np.random.default_rng(seed)
    frame, classes = picture(rng), drawn_classes(rng, 3)
    before.append(classes)
    expected.append(brute_force(frame, classes, ON))
    found.append(dense_crf.mean_field(frame, classes.astype(np.float32), ON))
  found, expected, before = map(np.stack, (found, expected, before))
  assert np.abs(found - expected).mean() < 0.012
  assert np.abs(before - expected).mean() > 0.1
  different = (found.argmax(axis=1) != expected.argmax(axis=1)).mean()
  changed = (before.argmax(axis=1) != expected.argmax(axis=1)).mean()
  assert different < 0.013 < 0.03 < changed


# --- A frame. -----------------------------------------------------------------


def scene(height=90, width=120):
  """A dark disc on a light ground, found half a width too large."""
  rows, columns = np.indices((height, width))
  distance = np.hypot(rows - 45, columns - 40)
  frame = np.where(distance[..., None] < 20, 40, 200).astype(np.uint8)
  frame = np.repeat(frame, 3, axis=2)
  found = 1.0 / (1.0 + np.exp((distance - 23) / 2))
  return frame, distance < 20, found.astype(np.float32)


@needs_library
def test_labels_follow_the_edge_of_the_picture():
  frame, truth, found = scene()
  classes = np.stack([1 - found, found])
  before = (classes.argmax(axis=0) != truth).sum()
  refined = dense_crf.refine(frame, classes, ON)
  assert refined.dtype == np.uint8
  assert (refined != truth).sum() < before / 6


@needs_library
def test_a_window_is_as_good_as_the_frame(monkeypatch):
  """But for pixels that fall on another side of the lattice."""
  frame, _, found = scene()
  frame = np.pad(frame, ((0, 0), (0, 200), (0, 0)), mode='reflect')
  classes = np.stack([1 - found, found])
  classes = np.pad(classes, ((0, 0), (0, 0), (0, 200)), mode='edge')
  whole = dense_crf.mean_field(frame, classes, ON).argmax(axis=0)
  seen = []
  mean_field = dense_crf.mean_field

  def noted(part, *rest):
    seen.append(part.shape)
    return mean_field(part, *rest)

  monkeypatch.setattr(dense_crf, 'mean_field', noted)
  refined = dense_crf.refine(frame, classes, ON)
  assert (refined != whole).sum() < 20 < (whole != classes.argmax(axis=0)).sum()
  assert seen[0][1] < 160


def hide_library(monkeypatch):
  for name in [name for name in sys.modules if name.startswith('pydensecrf')]:
    monkeypatch.delitem(sys.modules, name)
  monkeypatch.setattr(sys, 'path', [])


def test_where_no_object_is_possible_nothing_is_computed(monkeypatch):
  hide_library(monkeypatch)
  classes = np.array([0.99, 0.01], np.float32).reshape(2, 1, 1)
  classes = np.broadcast_to(classes, (2, 8, 9))
  frame = np.zeros((8, 9, 3), np.uint8)
  assert not dense_crf.refine(frame, classes, ON).any()


def test_what_is_missing_is_named_before_anything_begins(monkeypatch):
  hide_library(monkeypatch)
  expected = r'dense CRF needs pydensecrf,.*\n.*savos_jax\[crf\]'
  with pytest.raises(errors.SavosError, match=expected):
    tracker_lib.Tracker(tiny_resnets.MODEL, {}, ON)
  config = default.get_config()
  config.eval.crf = True
  with pytest.raises(errors.SavosError, match=expected):
    settings.inference_config(config)


# --- A video. -----------------------------------------------------------------


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  folder = tmp_path_factory.mktemp('clip')
  return tiny_videos.noise(folder, FRAMES, SIZE, '{:05d}')


PARAMS = tiny_resnets.decided_params()


def tracker_of(config):
  return tracker_lib.Tracker(tiny_resnets.MODEL, PARAMS, config)


@pytest.fixture(scope='module')
def tracker():
  return tracker_of(SMOOTH)


def drawn(*ids, shift=0):
  labels = np.zeros(SIZE, np.uint8)
  for object_id in ids:
    left = 20 * (object_id - 1) + shift
    labels[5:30, left : left + 18] = object_id
  return labels


def job(video, given, out, way='forward'):
  return engine.Job(
    video,
    marks.of_labels(given),
    sinks.Masks(out / 'masks', video.names),
    progress=progress.Progress(out, {'any': 1}),
    forwards=way != 'backward',
    backwards=None if way == 'forward' else out / 'aside',
  )


def segment(tracker, video, given, out, advance=lambda *_: None, **ways):
  """Returns the masks that were written, and the timing."""
  with files.claimed(out):
    timing = engine.segment(
      [tracker], [job(video, given, out, **ways)], advance
    )
  paths = sorted((out / 'masks').iterdir())
  return np.stack([masks.read_mask(path) for path in paths]), timing


@needs_library
@pytest.mark.parametrize(
  ('mode', 'short_side'), [('softmax', 0), ('independent', 32)]
)
def test_labels_are_refined_and_what_guides_is_the_networks(
  video, mode, short_side
):
  config = dataclasses.replace(SMOOTH, aggregation=mode, short_side=short_side)
  on, off = (
    tracker_of(config),
    tracker_of(dataclasses.replace(config, crf=False)),
  )
  for each in (on, off):
    each.start(video.frame(0), drawn(1, 3), (1, 3))
  for index in (1, 2):
    frame = video.frame(index)
    refined, plain = on.step(frame), off.step(frame)
    assert set(np.unique(refined)) <= {0, 1, 3}
    assert 0.02 < (refined != plain).mean() < 0.5
    np.testing.assert_array_equal(on.probabilities, off.probabilities)
    again = on.refine(frame, on.probabilities, on.object_ids)
    np.testing.assert_array_equal(again, refined)


@needs_library
def test_without_iterations_that_count_labels_are_the_trackers(video):
  """Classes and their order are those that the labels are made of."""
  config = dataclasses.replace(
    SMOOTH, crf_gaussian_weight=0.0, crf_bilateral_weight=0.0
  )
  on, off = tracker_of(config), tracker_of(None)
  for each in (on, off):
    each.start(video.frame(0), drawn(1, 2, 3), (1, 2, 3))
  frame = video.frame(1)
  np.testing.assert_array_equal(on.step(frame), off.step(frame))


@needs_library
def test_masks_are_the_trackers_also_after_an_interruption(
  tracker, video, tmp_path
):
  found, timing = segment(tracker, video, {0: drawn(1, 2)}, tmp_path / 'whole')
  assert 0 < timing.refining < timing.total
  tracker.start(video.frame(0), drawn(1, 2), (1, 2))
  steps = [tracker.step(frame) for frame in video.frames(1)]
  np.testing.assert_array_equal(found, [drawn(1, 2), *steps])

  left = iter(range(3))

  def interrupt(*_):
    if next(left, None) is None:
      raise KeyboardInterrupt

  out = tmp_path / 'again'
  with pytest.raises(KeyboardInterrupt):
    segment(tracker, video, {0: drawn(1, 2)}, out, interrupt)
  assert 0 < len(list((out / 'masks').iterdir())) < FRAMES
  resumed, _ = segment(tracker, video, {0: drawn(1, 2)}, out)
  np.testing.assert_array_equal(resumed, found)


@needs_library
def test_side_by_side_as_one_after_the_other(tracker, video, tmp_path):
  given = {'a': {0: drawn(1, 2)}, 'b': {0: drawn(2, 1, shift=3)}}
  alone = {
    name: segment(tracker, video, given[name], tmp_path / name)[0]
    for name in given
  }
  jobs = [job(video, given[name], tmp_path / f'{name}2') for name in given]
  for each in given:
    (tmp_path / f'{each}2').mkdir()
  engine.segment([tracker, tracker_of(SMOOTH)], jobs)
  for name, expected in alone.items():
    paths = sorted((tmp_path / f'{name}2' / 'masks').iterdir())
    found = np.stack([masks.read_mask(path) for path in paths])
    assert (found != expected).mean() < 0.002  # Rounding of another call.


@needs_library
def test_each_frame_is_refined_once_in_both_directions(
  tracker, video, tmp_path, monkeypatch
):
  frames = []
  refine = dense_crf.refine

  def counted(frame, *rest):
    frames.append(frame.tobytes())
    return refine(frame, *rest)

  monkeypatch.setattr(dense_crf, 'refine', counted)
  given = {2: drawn(1), 5: drawn(1, 2, shift=2)}
  found, _ = segment(tracker, video, given, tmp_path / 'on', way='both')
  # Before the first mark, between, and behind; what is marked alone is not.
  names = [video.frame(index).tobytes() for index in (0, 1, 3, 4, 6, 2)]
  assert sorted(frames) == sorted(names)
  np.testing.assert_array_equal(found[2] == 1, drawn(1) == 1)
  np.testing.assert_array_equal(found[5], given[5])
  off, _ = segment(tracker_of(None), video, given, tmp_path / 'off', way='both')
  changed = (found != off).mean(axis=(1, 2))
  assert (changed[[0, 1, 3, 4, 6]] > 0.01).all()
