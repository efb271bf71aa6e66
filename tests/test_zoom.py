"""The windows around objects, and a tracker that looks through them."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.inference import options
from savos_jax.inference import sight
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import zoom
from tests import tiny_resnets

MODEL = tiny_resnets.MODEL


@pytest.fixture(scope='module')
def params():
  return tiny_resnets.drawn_params()


def square(shape, rows, columns):
  mask = np.zeros(shape, np.float32)
  mask[slice(*rows), slice(*columns)] = 1
  return mask


@pytest.mark.parametrize(
  ('rows', 'columns', 'expected'),
  [
    # Twice as high as the object, in the frame's proportions.
    ((30, 60), (90, 100), (15, 35, 60, 120)),
    # Twice as wide.
    ((50, 54), (60, 140), (12, 20, 80, 160)),
    # Moved into the frame.
    ((0, 30), (190, 200), (0, 80, 60, 120)),
    # Small: a quarter of the frame.
    ((50, 52), (100, 102), (38.5, 76, 25, 50)),
    # Large, or nothing at all: the frame.
    ((20, 80), (20, 180), (0, 0, 100, 200)),
    ((0, 0), (0, 0), (0, 0, 100, 200)),
  ],
)
def test_windows(rows, columns, expected):
  # The frame is padded; a pixel below 0.5 is not the object's.
  mask = square((128, 224), rows, columns)
  mask[5, 5] = 0.4
  size = jnp.array([100, 200])
  found = zoom.windows(jnp.asarray(mask)[None], size, zoom.Windows(2.0))
  np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_windows_show_and_put_back():
  generator = np.random.default_rng(0)
  # Smooth, so that resampling loses little.
  frame = cv2.GaussianBlur(
    generator.random((96, 128, 3), np.float32), (0, 0), 6
  )
  boxes = jnp.array([[20.0, 30.0, 48.0, 64.0], [0.0, 0.0, 96.0, 128.0]])
  seen = sight.into_windows(jnp.asarray(frame)[None], boxes, 96, 128)
  crop = frame[20:68, 30:94]
  # Beyond the crop's edge the window sees what is there, and OpenCV does not.
  np.testing.assert_allclose(
    seen[0, 2:-2, 2:-2], cv2.resize(crop, (128, 96))[2:-2, 2:-2], atol=1e-3
  )
  np.testing.assert_allclose(seen[1], frame, atol=1e-6)
  back = np.array(sight.out_of_windows(seen[..., 0], boxes, 96, 128))
  np.testing.assert_allclose(back[0, 20:68, 30:94], crop[..., 0], atol=2e-3)
  np.testing.assert_allclose(back[1], frame[..., 0], atol=1e-6)
  back[0, 20:68, 30:94] = 0
  assert not back[0].any()


def test_tracker_sees_the_window_alone(params):
  """A quarter of the frame: the network by hand on the crop, 0 elsewhere."""
  generator = np.random.default_rng(1)
  frames = generator.integers(0, 256, (2, 128, 128, 3), np.uint8)
  mask = square((128, 128), (40, 56), (48, 64))
  crop = np.s_[32:64, 40:72]
  config = options.InferenceConfig('independent', short_side=32, zoom=2.0)
  tracker = tracker_lib.Tracker(MODEL, params, config)
  tracker.add_object(frames[0], mask)
  labels = tracker.step(frames[1])
  first, second = jnp.asarray([f[crop] for f in frames], jnp.float32) / 255
  guidance = jnp.asarray(mask[crop])[None]
  logits = MODEL.apply(
    {'params': params}, first[None], guidance, second[None], guidance
  )
  expected = np.zeros((128, 128), np.float32)
  expected[crop] = jax.nn.softmax(logits)[0, ..., 1]
  assert np.ptp(expected[crop]) > 0.1
  np.testing.assert_allclose(tracker.probabilities[0], expected, atol=1e-5)
  np.testing.assert_array_equal(labels, expected > 0.5)


def test_a_window_as_large_as_the_frame_changes_nothing(params):
  generator = np.random.default_rng(2)
  frames = generator.integers(0, 256, (3, 32, 64, 3), np.uint8)
  labels = square((32, 64), (4, 20), (10, 30)).astype(np.uint8)
  labels[22:30, 40:60] = 2
  found = []
  for far in (0.0, 100.0):
    config = options.InferenceConfig(zoom=far, flip=True)
    tracker = tracker_lib.Tracker(MODEL, params, config)
    tracker.start(frames[0], labels, (1, 2))
    for frame in frames[1:]:
      tracker.step(frame)
    found.append(tracker.probabilities)
  np.testing.assert_allclose(*found, atol=1e-4)


def test_large_frames_are_shrunk_to_what_the_smallest_window_needs(params):
  config = options.InferenceConfig(short_side=32, zoom=2.0)
  tracker = tracker_lib.Tracker(MODEL, params, config)
  frame = np.zeros((300, 400, 3), np.uint8)
  tracker.add_object(frame, square((300, 400), (10, 90), (20, 90)))
  assert tracker.step(frame).shape == (300, 400)
  assert tracker.probabilities.shape == (1, 128, 160)
