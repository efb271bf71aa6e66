"""Inference: the reference once, soft masks fed on, ids kept."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.foundation import errors
from savos_jax.inference import aggregation as aggregation_lib
from savos_jax.inference import geometry
from savos_jax.inference import options
from savos_jax.inference import scales
from savos_jax.inference import sight
from savos_jax.inference import tracker as tracker_lib
from tests import compilations
from tests import tiny_resnets
from tests import tiny_videos

MODEL = tiny_resnets.MODEL
SIZE = tiny_videos.SIZE


@pytest.fixture(scope='module')
def params():
  return tiny_resnets.drawn_params()


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  return tiny_videos.write(tmp_path_factory.mktemp('video'))


def by_hand(params, video, object_id):
  """Probabilities of one object in every frame, with the plain network."""
  forward = jax.jit(MODEL.apply)
  first = jnp.asarray(video.frame(0)[None], jnp.float32) / 255
  mask = jnp.asarray(video.labels(0)[None] == object_id, jnp.float32)
  guidance, found = mask, []
  for index in range(1, len(video)):
    frame = jnp.asarray(video.frame(index)[None], jnp.float32) / 255
    logits = forward({'params': params}, first, mask, frame, guidance)
    guidance = jax.nn.softmax(logits)[..., 1]
    found.append(np.asarray(guidance[0]))
  return found


INDEPENDENT = options.InferenceConfig(aggregation='independent')


def run(params, video, config, frames=(1, 2, 3)):
  """Labels and probabilities of the frames, objects 2 and 5 from the start."""
  tracker = tracker_lib.Tracker(MODEL, params, config)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  found = []
  for index in frames:
    labels = tracker.step(video.frame(index))
    found.append((labels, np.asarray(tracker.probabilities)))
  return found


def assert_same_run(a, b, **tolerance):
  for (labels_a, p_a), (labels_b, p_b) in zip(a, b, strict=True):
    np.testing.assert_allclose(p_a, p_b, **tolerance)
    # Where two are as good as equal, rounding decides.
    assert (labels_a != labels_b).mean() < 0.01


def test_tracker_equals_the_network_applied_by_hand(params, video):
  """Objects in a batch are as each on its own; frames one by one as unrolled.

  The tracker pads to multiples of 32 and masks what it padded, and shares the
  frame's part of the first convolution; the plain network does neither.
  """
  expected = [by_hand(params, video, i) for i in video.object_ids]
  for index, (labels, found) in enumerate(run(params, video, INDEPENDENT)):
    together = np.stack([e[index] for e in expected])
    np.testing.assert_allclose(found, together, rtol=1e-3, atol=1e-4)
    best = np.array(video.object_ids)[found.argmax(axis=0)]
    best[found.max(axis=0) <= 0.5] = 0
    np.testing.assert_array_equal(labels, best)
  # Soft masks were fed on: they differ from frame to frame.
  assert np.abs(expected[0][0] - expected[0][2]).max() > 1e-3


def test_sizes_that_pad_to_the_same_one_compile_once(params, video):
  # A checkpoint's arrays are bound to their device, fresh ones are not.
  placed = jax.device_put(params, jax.devices()[0])
  tracker = tracker_lib.Tracker(MODEL, placed)
  with compilations.heard() as names:
    for height, width in ((40, 70), (40, 70), (45, 66)):
      corner = np.s_[:height, :width]
      tracker.start(video.frame(0)[corner], video.labels(0)[corner], (2, 5))
      for index in (1, 2, 3):
        labels = tracker.step(video.frame(index)[corner])
        assert labels.shape == (height, width)
  assert names.count('one_step') == 1


def test_a_new_start_forgets_the_video_before(params, video):
  tracker = tracker_lib.Tracker(MODEL, params)
  runs = []
  for _ in range(2):
    tracker.start(video.frame(0), video.labels(0), video.object_ids)
    runs.append([tracker.step(video.frame(i)) for i in (1, 2)])
  np.testing.assert_array_equal(runs[0], runs[1])


def test_eq_5_guides_the_next_frame(params, video):
  """Each step: the plain network on the aggregated masks, then Eq. 5."""
  forward = jax.jit(MODEL.apply)
  first = jnp.asarray(video.frame(0)[None], jnp.float32) / 255
  masks_ = [
    jnp.asarray(video.labels(0)[None] == i, jnp.float32) for i in (2, 5)
  ]
  guidance = masks_
  for index, (_, found) in enumerate(
    run(params, video, options.InferenceConfig()), start=1
  ):
    frame = jnp.asarray(video.frame(index)[None], jnp.float32) / 255
    alone = [
      jax.nn.softmax(forward({'params': params}, first, m, frame, g))[0, ..., 1]
      for m, g in zip(masks_, guidance, strict=True)
    ]
    p = np.clip(np.float64(alone), 1e-7, 1 - 1e-7)
    behind = (1 - p).prod(axis=0)
    odds = p / (1 - p)
    expected = odds / (odds.sum(axis=0) + behind / (1 - behind))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    guidance = [jnp.asarray(e[None], jnp.float32) for e in expected]


@pytest.mark.parametrize('aggregation', ['softmax', 'winner_takes_all'])
def test_one_object_needs_no_aggregation(params, video, aggregation):
  results = []
  for mode in (aggregation, 'independent'):
    config = options.InferenceConfig(aggregation=mode, background='merged')
    tracker = tracker_lib.Tracker(MODEL, params, config)
    tracker.start(video.frame(0), video.labels(0), (5,))
    labels = [tracker.step(video.frame(i)) for i in (1, 2)]
    results.append((labels, np.asarray(tracker.probabilities)))
  np.testing.assert_array_equal(results[0][0], results[1][0])
  np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize('background', ['product', 'merged'])
def test_chunks_are_as_the_whole(params, video, background):
  """Three objects, or with their union four, two at a time."""
  labels = video.labels(0).copy()
  labels[2:8, 2:8] = 7
  runs = []
  for chunk in (0, 2):
    config = options.InferenceConfig(background=background, chunk=chunk)
    tracker = tracker_lib.Tracker(MODEL, params, config)
    tracker.start(video.frame(0), labels, (2, 5, 7))
    found = [
      (tracker.step(video.frame(i)), np.asarray(tracker.probabilities))
      for i in (1, 2)
    ]
    runs.append(found)
  assert_same_run(*runs, rtol=1e-3, atol=1e-5)


def test_merged_background_is_the_networks_own_view_of_the_union(params, video):
  merged = run(params, video, options.InferenceConfig(background='merged'))
  product = run(params, video, options.InferenceConfig())
  assert np.abs(merged[0][1] - product[0][1]).max() > 1e-3
  # By hand, for the first frame.
  alone = run(params, video, INDEPENDENT, frames=(1,))[0][1]
  tracker = tracker_lib.Tracker(MODEL, params)
  tracker.start(video.frame(0), (video.labels(0) > 0).astype(np.uint8), (1,))
  tracker.step(video.frame(1))
  union = np.asarray(tracker.probabilities)[0]
  expected = aggregation_lib.softmax(jnp.asarray(alone), jnp.asarray(1 - union))
  np.testing.assert_allclose(merged[0][1], expected[1:], rtol=1e-3, atol=1e-4)


def test_scales_and_flip_are_averaged(params, video):
  """Against the plain network on frames that are resized beforehand."""
  config = options.InferenceConfig(scales=(0.75, 1.0), flip=True)
  found = run(params, video, config, frames=(1,))
  views = scales.views(*SIZE, config.scales, config.flip)
  assert len(views) == 4
  forward = jax.jit(MODEL.apply)
  means = []
  for object_id in video.object_ids:
    mask = jnp.asarray(video.labels(0)[None] == object_id, jnp.float32)
    total = 0.0
    for view in views:
      frames = [
        jnp.asarray(video.frame(i)[None], jnp.float32) / 255 for i in (0, 1)
      ]
      seen = mask
      if not view.plain:
        frames = [sight.resized(f, view) for f in frames]
        seen = sight.resized(mask, view)
      logits = forward({'params': params}, frames[0], seen, frames[1], seen)
      p = jax.nn.softmax(logits)[..., 1]
      total += p if view.plain else sight.resized_back(p, view, *SIZE)
    means.append(total[0] / 4)
  p = jnp.stack(means)
  behind = aggregation_lib.background(p, 'product')
  expected = aggregation_lib.softmax(p, behind)[1:]
  np.testing.assert_allclose(found[0][1], expected, rtol=1e-3, atol=1e-4)


def test_an_object_that_enters_later_is_as_one_that_starts_there(params, video):
  tracker = tracker_lib.Tracker(MODEL, params, INDEPENDENT)
  tracker.start(video.frame(0), video.labels(0), (2,))
  tracker.step(video.frame(1))
  assert tracker.add_object(video.frame(1), video.labels(1) == 5) == 1
  assert tracker.object_ids == (2, 1)
  tracker.step(video.frame(2))
  other = tracker_lib.Tracker(MODEL, params, INDEPENDENT)
  other.start(video.frame(1), video.labels(1), (5,))
  other.step(video.frame(2))
  np.testing.assert_allclose(
    tracker.probabilities[1], other.probabilities[0], rtol=1e-3, atol=1e-5
  )
  # And the one that was there goes on as if alone.
  alone = tracker_lib.Tracker(MODEL, params, INDEPENDENT)
  alone.start(video.frame(0), video.labels(0), (2,))
  for index in (1, 2):
    alone.step(video.frame(index))
  np.testing.assert_allclose(
    tracker.probabilities[0], alone.probabilities[0], rtol=1e-3, atol=1e-5
  )


def test_a_dropped_object_leaves_the_others_alone(params, video):
  tracker = tracker_lib.Tracker(MODEL, params, INDEPENDENT)
  tracker.start(video.frame(0), video.labels(0), (2, 5))
  tracker.step(video.frame(1))
  tracker.drop_object(2)
  labels = tracker.step(video.frame(2))
  assert set(np.unique(labels)) <= {0, 5}
  whole = run(params, video, INDEPENDENT)[1][1]
  np.testing.assert_allclose(
    tracker.probabilities[0], whole[1], rtol=1e-3, atol=1e-5
  )
  tracker.drop_object(5)
  assert not tracker.step(video.frame(3)).any()


def test_another_reference_replaces_the_first(params, video):
  tracker = tracker_lib.Tracker(MODEL, params, INDEPENDENT)
  tracker.start(video.frame(0), video.labels(0), (2, 5))
  tracker.step(video.frame(1))
  tracker.set_reference(2, video.frame(1), video.labels(1) == 2)
  assert tracker.object_ids == (2, 5)
  tracker.step(video.frame(2))
  other = tracker_lib.Tracker(MODEL, params, INDEPENDENT)
  other.start(video.frame(1), video.labels(1), (2,))
  other.step(video.frame(2))
  np.testing.assert_allclose(
    tracker.probabilities[0], other.probabilities[0], rtol=1e-3, atol=1e-5
  )
  whole = run(params, video, INDEPENDENT)[1][1]
  np.testing.assert_allclose(
    tracker.probabilities[1], whole[1], rtol=1e-3, atol=1e-5
  )


def test_goes_on_from_saved_probabilities_bit_for_bit(params, video):
  whole = run(params, video, options.InferenceConfig())
  tracker = tracker_lib.Tracker(MODEL, params)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  with compilations.heard() as names:
    tracker.guide(whole[1][1])
    labels = tracker.step(video.frame(3))
  np.testing.assert_array_equal(labels, whole[2][0])
  np.testing.assert_array_equal(tracker.probabilities, whole[2][1])
  assert 'one_step' not in names
  with pytest.raises(errors.SavosError, match=r'Expected \(2, 45, 70\)'):
    tracker.guide(whole[1][1][:1])


def test_memory_is_of_the_objects_and_not_of_the_video(params, video):
  """What a tracker holds is the same after any number of frames."""

  def held(tracker):
    leaves = jax.tree.leaves(vars(tracker))
    return sum(leaf.nbytes for leaf in leaves if hasattr(leaf, 'nbytes'))

  tracker = tracker_lib.Tracker(MODEL, params)
  tracker.start(video.frame(0), video.labels(0), (2, 5))
  tracker.step(video.frame(1))
  before = held(tracker)
  for index in (2, 3, 1, 2):
    tracker.step(video.frame(index))
  assert held(tracker) == before


def mistakes(video):
  frame, mask = video.frame(0), video.labels(0) == 2
  return {
    'no object yet': (lambda t: t.step(frame), 'nothing to segment'),
    'nothing found yet': (lambda t: t.probabilities, 'nothing to segment'),
    'empty mask': (lambda t: t.add_object(frame, mask & False), 'up to 0'),
    'wrong mask': (lambda t: t.add_object(frame, mask[1:]), r'\(44, 70\)'),
    'percent': (lambda t: t.add_object(frame, mask * 100.0), 'up to 100'),
    'grey frame': (lambda t: t.add_object(frame[..., 0], mask), 'RGB'),
    'float frame': (lambda t: t.add_object(frame / 255, mask), 'uint8'),
    'id': (lambda t: t.add_object(frame, mask, 255), '1 to 254'),
    'unknown': (lambda t: t.drop_object(3), 'object 3'),
    'taken': (
      lambda t: [t.add_object(frame, mask, 4) for _ in range(2)], r'\[4\]',
    ),
    'another size': (
      lambda t: (t.add_object(frame, mask), t.step(frame[:40])), '70x40',
    ),
  }  # fmt: skip


MISTAKES = (
  'no object yet', 'nothing found yet', 'empty mask', 'wrong mask', 'percent',
  'grey frame', 'float frame', 'id', 'unknown', 'taken', 'another size',
)  # fmt: skip


@pytest.mark.parametrize('name', MISTAKES)
def test_mistakes_are_explained(params, video, name):
  act, expected = mistakes(video)[name]
  tracker = tracker_lib.Tracker(MODEL, params)
  with pytest.raises(errors.SavosError, match=expected):
    act(tracker)


def test_an_object_without_an_id_left_is_refused(params, video, monkeypatch):
  monkeypatch.setattr(tracker_lib, '_MOST_OBJECTS', 1)
  tracker = tracker_lib.Tracker(MODEL, params)
  frame, mask = video.frame(0), video.labels(0) == 2
  assert tracker.add_object(frame, mask) == 1
  with pytest.raises(errors.SavosError, match='Expected numbers from 1 to 1'):
    tracker.add_object(frame, mask)


def test_a_refused_reference_changes_nothing(params, video):
  tracker = tracker_lib.Tracker(MODEL, params, INDEPENDENT)
  tracker.start(video.frame(0), video.labels(0), (2, 5))
  tracker.step(video.frame(1))
  with pytest.raises(errors.SavosError, match='up to 0'):
    tracker.set_reference(2, video.frame(1), np.zeros(SIZE, bool))
  tracker.step(video.frame(2))
  whole = run(params, video, INDEPENDENT)[1][1]
  np.testing.assert_allclose(tracker.probabilities, whole, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('aggregation', 'vote'), ('background', 'none'), ('scales', ()),
    ('scales', (0.5, 0.0)), ('short_side', -1), ('chunk', -1),
    ('zoom', 0.5), ('zoom', -1.0),
  ],
)  # fmt: skip
def test_options_out_of_range_are_named(field, value):
  with pytest.raises(ValueError, match=field):
    options.InferenceConfig(**{field: value})


@pytest.mark.parametrize(
  ('size', 'short_side', 'expected'),
  [
    ((480, 854), 0, (480, 854)),
    ((480, 854), 480, (480, 854)),
    ((480, 854), 256, (256, 448)),
    ((854, 480), 256, (448, 256)),
    ((240, 432), 256, (240, 432)),
    ((45, 4000), 10, (32, 896)),
  ],
)
def test_network_size(size, short_side, expected):
  assert geometry.network_size(*size, short_side) == expected


def test_shrunk_frames_give_labels_of_the_full_size(params, video):
  config = options.InferenceConfig('independent', short_side=32)
  tracker = tracker_lib.Tracker(MODEL, params, config)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  labels = tracker.step(video.frame(1))
  assert labels.shape == SIZE
  assert tracker.probabilities.shape == (2, 32, 64)

  def shrunk(image):
    return cv2.resize(image, (64, 32), interpolation=cv2.INTER_AREA)

  small = tracker_lib.Tracker(MODEL, params, INDEPENDENT)
  for i in video.object_ids:
    mask = (video.labels(0) == i).astype(np.float32)
    small.add_object(shrunk(video.frame(0)), shrunk(mask), i)
  small.step(shrunk(video.frame(1)))
  np.testing.assert_allclose(
    tracker.probabilities, small.probabilities, atol=1e-5
  )
  enlarged = jax.image.resize(
    tracker.probabilities, (2, *SIZE), 'bilinear', antialias=False
  )
  ids = np.array([0, *video.object_ids])
  expected = aggregation_lib.labels(enlarged, 'independent')
  np.testing.assert_array_equal(labels, ids[np.asarray(expected)])


@pytest.mark.parametrize(
  'config',
  [
    options.InferenceConfig(),
    options.InferenceConfig(chunk=1),
    options.InferenceConfig(zoom=2.0),
    options.InferenceConfig(aggregation='winner_takes_all'),
  ],
)
def test_what_is_no_number_is_no_empty_mask(params, video, config):
  """One broken parameter, as of a file whose checksum is right."""
  broken = jax.tree.map(np.array, params)
  broken['encoder']['res2_0']['conv1']['kernel'][0, 0, 0, 0] = np.nan
  tracker = tracker_lib.Tracker(MODEL, broken, config)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  with pytest.raises(errors.SavosError, match=r'objects \[2.*no number'):
    tracker.step(video.frame(1))


def test_of_what_is_no_number_only_the_objects_concerned_are_named(
  params, video
):
  tracker = tracker_lib.Tracker(MODEL, params, INDEPENDENT)
  tracker.start(video.frame(0), video.labels(0), (2, 5))
  spoilt = np.array(tracker.probabilities)
  spoilt[1] = np.nan
  tracker.guide(spoilt)
  with pytest.raises(errors.SavosError, match=r'^objects \[5\]: what'):
    tracker.step(video.frame(1))


@pytest.mark.parametrize('zoom', [0.0, 2.0])
@pytest.mark.parametrize('axis', [0, 1])
def test_the_network_sees_pixels_as_they_are_shown(zoom, axis):
  """A frame squeezed by 2 is seen as the whole one, to the labels' own grid."""
  config = options.InferenceConfig(short_side=32, zoom=zoom)
  rng = np.random.default_rng(0)
  squeezed = rng.integers(0, 256, (64, 64, 3), np.uint8)
  squeezed = cv2.GaussianBlur(squeezed, (0, 0), 6)
  mask = np.zeros((64, 64), bool)
  mask[10:40, 20:50] = True
  aspect, shown = (0.5, (64, 128)) if axis == 0 else (2.0, (128, 64))
  frame = cv2.resize(squeezed, shown, interpolation=cv2.INTER_LINEAR)
  whole = np.repeat(mask, 2, axis)
  of = geometry.of(squeezed.shape[:2], config, aspect)
  expected = geometry.of(frame.shape[:2], config)
  assert (of.size, of.views) == (expected.size, expected.views)
  assert of.labels_size == squeezed.shape[:2]
  np.testing.assert_allclose(
    of.prepare(squeezed).astype(int), expected.prepare(frame), atol=2
  )
  np.testing.assert_allclose(
    of.prepare(mask.astype(np.float32)),
    expected.prepare(whole.astype(np.float32)),
    atol=0.26,  # Between pixels a mask is soft.
  )


def test_what_is_enlarged_is_smooth():
  """Repeated pixels are nothing that the network has seen."""
  step = np.repeat(np.array([[0, 200]], np.uint8), 16, axis=1)
  frame = np.repeat(step[..., None], 3, axis=2).repeat(32, axis=0)
  of = geometry.of(frame.shape[:2], options.InferenceConfig(), 2.0)
  assert of.size == (32, 64)
  np.testing.assert_array_equal(
    of.prepare(frame)[5, 30:34, 0], [0, 50, 150, 200]
  )


@pytest.mark.parametrize('zoom', [0.0, 2.0])
@pytest.mark.parametrize('short_side', [0, 256, 480])
@pytest.mark.parametrize('aspect', [2.0, 0.5, 64 / 45])
def test_what_is_resized_is_not_padded(zoom, short_side, aspect):
  """Labels are resized from all that the network sees."""
  if zoom and not short_side:
    short_side = 64
  config = options.InferenceConfig(short_side=short_side, zoom=zoom)
  of = geometry.of((480, 427), config, aspect)
  assert of.labels_size == (480, 427)
  assert of.padding == (0, 0)
  height, width = of.size
  assert width / height == pytest.approx(427 / 480 * aspect, rel=0.06)
