"""Objects decoded finely in a box around each of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax import network
from savos_jax.exporting import choices
from savos_jax.exporting import onnx_folder
from savos_jax.inference import focus
from savos_jax.inference import options
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import with_onnx
from savos_jax.models import decoder
from savos_jax.models import savos
from savos_jax.training import state as state_lib
from tests import tiny_resnets
from tests import tiny_videos

MODEL = tiny_resnets.LOOKING_BACK


@pytest.fixture(scope='module')
def params():
  return tiny_resnets.looking_back_params()


@pytest.fixture(scope='module')
def runtime(params, tmp_path_factory):
  out = tmp_path_factory.mktemp('exported')
  onnx_folder.write(
    out, network.Trained(MODEL, params, 7, False, {}), choices.Choices()
  )
  return with_onnx.Onnx(with_onnx.read(out))


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  return tiny_videos.write(tmp_path_factory.mktemp('video'))


def mask(rows, columns, shape=(128, 256)):
  found = np.zeros((1, *shape), np.float32)
  found[:, slice(*rows), slice(*columns)] = 1
  return found


@pytest.mark.parametrize(
  ('rows', 'columns', 'middle', 'side'),
  [
    # Half of the larger side more, on both axes; and a cell.
    ((32, 64), (128, 192), (6, 20), (9, 13)),
    # A strip gets the margin of its length.
    ((0, 96), (100, 104), (6, 12.75), (19, 8)),
    # Nothing is there: all 16 by 32 cells, and more.
    ((0, 0), (0, 0), (8, 16), (33, 49)),
  ],
)
@pytest.mark.parametrize('library', [np, jnp])
def test_boxes(library, rows, columns, middle, side):
  found = focus.boxes(library.asarray(mask(rows, columns)), 1.5)
  np.testing.assert_array_equal(found.middle, [middle])
  np.testing.assert_array_equal(found.side, [side])


def test_boxes_hold_the_object_and_stay_in_the_view():
  rng = np.random.default_rng(0)
  for _ in range(200):
    top, left = rng.integers(0, [120, 240])
    bottom, right = rng.integers([top + 1, left + 1], [129, 257])
    box = focus.boxes(mask((top, bottom), (left, right)), 1.0)
    ends = zip(
      box.middle[0], box.side[0], (16, 32), (top, left), (bottom, right),
      strict=True,
    )  # fmt: skip
    for middle, side, cells, begin, end in ends:
      side = min(int(side), cells)
      first = int(focus.first(middle, side, cells))
      assert 0 <= first <= cells - side
      assert focus.STRIDE * first <= begin
      assert end <= focus.STRIDE * (first + side)


@pytest.mark.parametrize('focus_', [1.0, 1.25, 1.5])
@pytest.mark.parametrize('zoom_', [1.5, 2.0, 3.0])
def test_what_is_compiled_is_enough_for_what_placed_its_window(focus_, zoom_):
  shape = (256, 448)
  cells = tuple(side // focus.STRIDE for side in shape)
  small, large = focus.sizes(*cells, focus_, zoom_)
  assert small[0] == large[0]
  assert small[1] <= large[1] <= cells[1]
  # In a window, along one of the axes, an object takes up 1 / zoom of it.
  height, width = (int(side / zoom_) for side in shape)
  for rows, columns in ((height, width), (height, 8), (8, width)):
    box = focus.boxes(mask((0, rows), (0, columns), shape), focus_)
    assert (np.minimum(box.side[0], cells) <= large).all()


def test_boxes_in_whole_frames_are_as_in_windows_of_zoom_2():
  assert focus.sizes(32, 56, 1.25, 0.0) == focus.sizes(32, 56, 1.25, 2.0)
  assert focus.sizes(32, 56, 1.25, 2.0) == [(24, 18), (24, 36)]


@pytest.mark.parametrize('edge', ['top', 'bottom', 'left', 'right'])
def test_an_object_at_the_edge_of_its_box_may_go_on(edge):
  found = np.zeros((16, 24), np.float32)
  found[4:8, 4:8] = 1
  shape = (64, 64)
  assert not focus.leaves(found, (8, 8), shape)
  index, place, end = {
    'top': (np.s_[0, 5], (0, 8), (8, 8)),
    'bottom': (np.s_[-1, 5], (48, 8), (8, 8)),
    'left': (np.s_[5, 0], (8, 0), (8, 8)),
    'right': (np.s_[5, -1], (8, 40), (8, 8)),
  }[edge]
  found[index] = 0.6
  assert focus.leaves(found, end, shape)
  # The view itself ends there.
  assert not focus.leaves(found, place, shape)


def test_a_region_is_decoded_as_in_the_whole(params):
  """Without gates, which average over the region, up to its border."""
  config = dataclasses.replace(MODEL.config, attention=False)
  model = savos.SAVOS(config)
  params = state_lib.init_params(model, jax.random.key(0))
  keys = jax.random.split(jax.random.key(1), 2)
  frame = jax.random.uniform(keys[0], (1, 32, 256, 3))
  guidance = jax.random.uniform(keys[1], (1, 32, 256))

  @jax.jit
  def both(params):
    def call(*inputs, method):
      return model.apply({'params': params}, *inputs, method=method)

    reference = call(frame, guidance, method=savos.SAVOS.encode_reference)
    region = decoder.Region(jnp.arange(4), jnp.arange(4, 32))
    inputs = frame, guidance, reference, None
    return [
      call(*inputs, part, method=savos.SAVOS.segment) for part in (region, None)
    ]

  part, whole = both(params)
  assert part.shape == (1, 32, 224, 2)
  differs = np.abs(part - whole[:, :, 32:]).max(axis=(0, 1, 3))
  # Five convolutions at stride 8, six at stride 4, and the enlargements.
  assert differs[80:].max() < 1e-5
  assert differs[:8].max() > 1e-3


def followed(tracker, video):
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  found = []
  for index in range(1, len(video)):
    tracker.step(video.frame(index))
    found.append(np.asarray(tracker.probabilities))
  return np.stack(found)


def test_a_box_as_large_as_the_view_changes_nothing(params, video):
  plain, focused = (
    followed(
      tracker_lib.Tracker(MODEL, params, options.InferenceConfig(focus=value)),
      video,
    )
    for value in (0.0, 100.0)
  )
  np.testing.assert_allclose(focused, plain, atol=1e-5)


class Counting(with_onnx.Onnx):
  """Counts which parts are decoded."""

  def __init__(self, exported):
    super().__init__(exported)
    self.cells = []

  def call(self, name, inputs):
    if name == 'step':
      self.cells.append((len(inputs['rows']), len(inputs['columns'])))
    return super().call(name, inputs)


def stepped(runtime, video, probability):
  """Steps with a speck as the object, by a network that finds one value."""
  counting = Counting(runtime.exported)
  config = options.InferenceConfig(focus=1.0)
  tracker = tracker_lib.Tracker(counting, None, config)
  frame = video.frame(0)
  height, width = frame.shape[:2]
  speck = np.zeros((height, width), np.uint8)
  speck[height // 2, width // 2] = 1
  tracker.start(frame, speck, [1])
  real = counting.call

  def found(name, inputs):
    outputs = real(name, inputs)
    return {key: np.full_like(x, probability) for key, x in outputs.items()}

  counting.call = found
  tracker.step(frame)
  return counting.cells, np.asarray(tracker.probabilities)


def test_what_leaves_its_box_is_decoded_whole(runtime, video):
  cells, probabilities = stepped(runtime, video, 0.95)
  height, width = video.frame(0).shape[:2]
  assert cells == [(2, 2), (-(-height // 32) * 4, -(-width // 32) * 4)]
  assert probabilities.min() > 0.9


def test_outside_of_the_box_there_is_nothing(runtime, video):
  cells, probabilities = stepped(runtime, video, 0.4)
  assert cells == [(2, 2)]
  assert (probabilities > 0).sum() == 16 * 16


@pytest.mark.parametrize('fields', [{}, {'zoom': 2.0, 'short_side': 32}])
def test_masks_are_similar_by_both_runtimes(params, runtime, video, fields):
  config = options.InferenceConfig(focus=1.5, **fields)
  first, second = (
    followed(tracker_lib.Tracker(*network, config), video)
    for network in ((MODEL, params), (runtime, None))
  )
  # JAX has boxes of a few sizes, of which the gates' averages are.
  assert ((first > 0.5) != (second > 0.5)).mean() < 0.05
  assert (second > 0.5).any()


def test_videos_together_are_as_alone(params, video):
  config = options.InferenceConfig(focus=1.5)
  alone, *both = (tracker_lib.Tracker(MODEL, params, config) for _ in range(3))
  for tracker in (alone, *both):
    tracker.start(video.frame(0), video.labels(0), video.object_ids)
  expected = alone.step(video.frame(1))
  for labels in tracker_lib.step_together(both, [video.frame(1)] * 2):
    np.testing.assert_array_equal(labels, expected)
