"""Inference: the reference once, soft masks fed on, ids kept."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax import errors
from savos_jax.data import masks
from savos_jax.data import sequences
from savos_jax.inference import segment
from savos_jax.inference import tracker as tracker_lib
from savos_jax.models import savos
from savos_jax.training import state as state_lib

MODEL = savos.SAVOS(
  savos.SavosConfig(
    block_counts=(1, 1, 1, 1), width_multiplier=1 / 16, decoder_features=8
  )
)
SIZE = (45, 70)


@pytest.fixture(scope='module')
def params():
  init = jax.jit(lambda key: state_lib.init_params(MODEL, key))
  return init(jax.random.key(0))


@pytest.fixture(scope='module')
def video(tmp_path_factory):
  """Four frames with objects 2 and 5."""
  folder = tmp_path_factory.mktemp('video')
  rng = np.random.default_rng(0)
  frames, mask_files = [], []
  for number in range(4):
    frame = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    labels = np.zeros(SIZE, np.uint8)
    labels[10:25, 5 + 3 * number : 25 + 3 * number] = 2
    labels[20:40, 40:60] = 5
    frames.append(folder / f'{number:05d}.png')
    mask_files.append(folder / f'mask{number:05d}.png')
    cv2.imwrite(str(frames[-1]), frame[..., ::-1])
    masks.write_mask(mask_files[-1], labels)
  return sequences.open_sequence('video', frames, mask_files)


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


def test_tracker_equals_the_network_applied_by_hand(params, video):
  tracker = tracker_lib.Tracker(MODEL, params)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  expected = [by_hand(params, video, i) for i in video.object_ids]
  for index in range(1, len(video)):
    labels = tracker.step(video.frame(index))
    together = np.stack([e[index - 1] for e in expected])
    np.testing.assert_allclose(
      tracker.probabilities, together, rtol=1e-3, atol=1e-4
    )
    found = np.asarray(tracker.probabilities)
    best = np.array(video.object_ids)[found.argmax(axis=0)]
    best[found.max(axis=0) <= 0.5] = 0
    np.testing.assert_array_equal(labels, best)
  # Soft masks were fed on: they differ from frame to frame.
  assert np.abs(expected[0][0] - expected[0][2]).max() > 1e-3


def test_a_size_compiles_once_with_restored_parameters(params, video):
  # A checkpoint's arrays are bound to their device, fresh ones are not.
  placed = jax.device_put(params, jax.devices()[0])
  tracker = tracker_lib.Tracker(MODEL, placed)
  before = tracker_lib._segment._cache_size()
  for _ in range(2):
    tracker.start(video.frame(0)[:40], video.labels(0)[:40], (2, 5))
    for index in (1, 2, 3):
      tracker.step(video.frame(index)[:40])
  assert tracker_lib._segment._cache_size() == before + 1


def test_a_new_start_forgets_the_video_before(params, video):
  tracker = tracker_lib.Tracker(MODEL, params)
  runs = []
  for _ in range(2):
    tracker.start(video.frame(0), video.labels(0), video.object_ids)
    runs.append([tracker.step(video.frame(i)) for i in (1, 2)])
  np.testing.assert_array_equal(runs[0], runs[1])


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
  assert tracker_lib.network_size(*size, short_side) == expected


def test_shrunk_frames_give_labels_of_the_full_size(params, video):
  tracker = tracker_lib.Tracker(MODEL, params, short_side=32)
  tracker.start(video.frame(0), video.labels(0), video.object_ids)
  labels = tracker.step(video.frame(1))
  assert labels.shape == SIZE
  assert tracker.probabilities.shape == (2, 32, 64)
  by_hand_frame = cv2.resize(
    video.frame(1), (64, 32), interpolation=cv2.INTER_AREA
  )
  small = tracker_lib.Tracker(MODEL, params)
  shrunk = [
    cv2.resize(
      (video.labels(0) == i).astype(np.float32),
      (64, 32),
      interpolation=cv2.INTER_AREA,
    )
    for i in video.object_ids
  ]
  # Soft masks of a shrunk frame: set by hand, as labels can't carry them.
  small.start(
    cv2.resize(video.frame(0), (64, 32), interpolation=cv2.INTER_AREA),
    np.ones((32, 64), np.uint8),
    (1, 1),
  )
  small._guidance = jnp.asarray(np.stack(shrunk))
  small._reference = tracker._reference
  small.step(by_hand_frame)
  np.testing.assert_allclose(
    tracker.probabilities, small.probabilities, atol=1e-6
  )
  enlarged = jax.image.resize(
    tracker.probabilities, (2, *SIZE), 'bilinear', antialias=False
  )
  ids = np.array([0, *video.object_ids])
  np.testing.assert_array_equal(
    labels, ids[np.asarray(tracker_lib.to_labels(enlarged))]
  )


def test_labels_take_the_most_probable_object_above_one_half():
  p = jnp.asarray([[[0.2, 0.6, 0.7, 0.5]], [[0.4, 0.3, 0.9, 0.1]]])
  np.testing.assert_array_equal(tracker_lib.to_labels(p), [[0, 1, 2, 0]])


def test_segment_writes_one_indexed_png_a_frame(params, video, tmp_path):
  folder = tmp_path / 'video'
  folder.mkdir()
  (folder / '00099.png').write_bytes(b'of an earlier run')
  seen = []
  timing = segment.segment_sequence(
    tracker_lib.Tracker(MODEL, params), video, folder, lambda: seen.append(1)
  )
  assert [path.name for path in sorted(folder.iterdir())] == [
    f'{number:05d}.png' for number in range(4)
  ]
  np.testing.assert_array_equal(
    masks.read_mask(folder / '00000.png'), video.labels(0)
  )
  found = np.unique(masks.read_mask(folder / '00003.png'))
  assert set(found) <= {0, 2, 5}
  assert len(seen) == 4
  assert timing.steady_frames == 2
  assert timing.first_step > 0
  assert timing.steady_step > 0


def test_a_damaged_frame_is_named_and_no_mask_is_made_up(
  params, video, tmp_path
):
  broken = tmp_path / '00002.png'
  broken.write_bytes(video.frames[2].read_bytes()[:200])
  frames = (*video.frames[:2], broken, video.frames[3])
  damaged = sequences.Sequence(
    'video', frames, video.masks, *SIZE, video.object_ids
  )
  with pytest.raises(errors.SavosError, match=str(broken)):
    segment.segment_sequence(
      tracker_lib.Tracker(MODEL, params), damaged, tmp_path / 'out'
    )
  assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
    '00000.png', '00001.png',
  ]  # fmt: skip
