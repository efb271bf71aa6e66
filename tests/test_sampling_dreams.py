"""Dreams as examples: how many, of what, with which backgrounds."""

import dataclasses

import cv2
import numpy as np
import pytest

from savos_jax.data import backgrounds
from savos_jax.data import examples
from savos_jax.data import lucid
from savos_jax.datasets import davis
from savos_jax.datasets import stills
from savos_jax.foundation import errors
from tests import sampling_videos

CLIPS = sampling_videos.CLIPS
DREAMS = sampling_videos.DREAMS
MIXED = sampling_videos.MIXED
SIZE = sampling_videos.SIZE
digests = sampling_videos.digests
draw_frame = sampling_videos.draw_frame
draw_labels = sampling_videos.draw_labels
one_frame = sampling_videos.one_frame
make = sampling_videos.make


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
  return sampling_videos.open_videos(tmp_path_factory.mktemp('videos'))


@pytest.fixture
def quick_dreams(monkeypatch):
  """Dreams that show the frame as it is; records what was asked for.

  The previous labels are the others, five pixels to the right; backgrounds
  tell what moved, and left from right.
  """
  calls = []

  def dream(frame, labels, rng, config, **rest):
    calls.append({'frame': frame, 'labels': labels, 'config': config, **rest})
    resized = cv2.resize(
      labels, rest['size'][::-1], interpolation=cv2.INTER_NEAREST
    )
    many = np.stack([resized] * rest['targets'])
    picture = cv2.resize(frame, rest['size'][::-1])
    return lucid.Dream(
      reference_frame=picture,
      reference_labels=resized,
      frames=np.stack([picture] * rest['targets']),
      labels=many,
      previous_labels=np.roll(resized, 5, axis=1),
    )

  def inpaint(frame, labels, moving, config):
    columns = np.arange(labels.shape[1], dtype=np.uint8)
    return frame + columns[:, None] + np.uint8(10 * sum(moving))

  monkeypatch.setattr(lucid, 'dream', dream)
  monkeypatch.setattr(lucid, 'inpaint', inpaint)
  return calls


# --- The mixture. ------------------------------------------------------------


@pytest.mark.usefixtures('quick_dreams')
def test_mixture_has_the_shares_asked_for(videos):
  config = dataclasses.replace(CLIPS, dream_fraction=0.6, stills_fraction=0.25)
  sampler = make(videos, config, stills=[one_frame(videos[0])])
  found = [sampler.describe(index) for index in range(500)]
  dreams = [d for d in found if isinstance(d, examples.DreamSource)]
  photos = [d for d in dreams if d.sequence.name == 'photo']
  assert abs(len(dreams) / 500 - 0.6) < 0.07
  assert abs(len(photos) / len(dreams) - 0.25) < 0.08


@pytest.mark.usefixtures('quick_dreams')
def test_first_steps_are_dreams_alone(videos):
  config = dataclasses.replace(CLIPS, dream_only_steps=3)
  sampler = make(videos, config, examples_per_step=4)
  kinds = [type(sampler.describe(index)) for index in range(24)]
  assert kinds == [examples.DreamSource] * 12 + [examples.Clip] * 12


@pytest.mark.usefixtures('quick_dreams')
def test_photos_alone_give_dreams_alone(videos):
  photo = one_frame(videos[0])
  for records in ({'stills': [photo]}, {'videos': [photo]}):
    records = {'videos': []} | records
    sampler = make(**records, config=DREAMS)
    assert sampler.describe(0).sequence is photo
    for config in (CLIPS, MIXED):
      with pytest.raises(errors.SavosError, match='dream_fraction=1'):
        make(**records, config=config)
  with pytest.raises(errors.SavosError, match='nothing to train on'):
    make([], DREAMS)


def test_single_frame_videos_cannot_give_clips(videos):
  with pytest.raises(errors.SavosError, match='two annotated frames'):
    make([one_frame(videos[0])])
  both = make([one_frame(videos[0], 'single'), videos[1]])
  assert {both.describe(i).sequence.name for i in range(20)} == {'short'}


# --- Dreams. -----------------------------------------------------------------


@pytest.mark.parametrize('cached', [False, True])
def test_dreams_get_their_settings_and_a_background_without_the_moving(
  videos, quick_dreams, tmp_path, cached
):
  cache = backgrounds.BackgroundCache(tmp_path, DREAMS.lucid)
  zooms = []
  for flip in (0.0, 1.0):
    config = dataclasses.replace(DREAMS, flip_probability=flip)
    sampler = make(videos, config, backgrounds=cache if cached else None)
    for index in range(6):
      quick_dreams.clear()
      source = sampler.describe(index)
      (call,) = quick_dreams
      assert call['moving'] == source.moving
      assert call['config'] is DREAMS.lucid
      assert call['size'] == (64, 96)
      assert call['targets'] == 3
      zooms.append(call['zoom'])
      labels = draw_labels(source.frame)
      frame = draw_frame(labels, source.frame)
      background = lucid.inpaint(frame, labels, source.moving, config.lucid)
      for name, expected in (
        ('frame', frame), ('labels', labels), ('background', background),
      ):  # fmt: skip
        seen = call[name][:, ::-1] if flip else call[name]
        np.testing.assert_array_equal(seen, expected)
  assert 1.0 <= min(zooms) < 1.4
  assert 1.6 < max(zooms) <= 2.0


@pytest.mark.usefixtures('quick_dreams')
def test_guidance_is_the_dream_s_previous_mask(videos):
  for index in range(6):
    example = make(videos, DREAMS).example(index)
    np.testing.assert_array_equal(
      example['guidance'], np.roll(example['masks'][0], 5, axis=1) * 255
    )


@pytest.mark.usefixtures('quick_dreams')
def test_any_subset_of_two_objects_moves_and_few_of_three(videos):
  config = dataclasses.replace(DREAMS, dream_subsets=2)
  found = {}
  for index in range(300):
    source = make(videos[:1], config).describe(index)
    found.setdefault(source.frame, set()).add(source.moving)
  assert set(found) == set(range(9))
  for frame, subsets in found.items():
    if 2 <= frame < 6:
      assert 1 <= len(subsets) <= 2
    else:
      assert subsets == {(1,), (2,), (1, 2)}


def test_dream_shows_an_object_and_its_masks_belong_together(videos):
  sampler = make(videos, dataclasses.replace(DREAMS, clip_frames=2))
  overlaps = []
  for index in range(12):
    example = sampler.example(index)
    mask = example['reference_mask']
    assert mask.mean() >= DREAMS.min_object_fraction
    # The objects are of one bright colour each; the rest of the frame is dark.
    assert example['reference_frame'][mask > 0].max(-1).mean() > 150
    seen = example['masks'][0] > 0
    guess = example['guidance'] > 127
    overlaps.append((seen & guess).sum() / max(1, (seen | guess).sum()))
  # Grown by five pixels and bent; the objects are some twenty wide.
  assert 0.3 < np.mean(overlaps) < 0.95


@pytest.mark.usefixtures('quick_dreams')
def test_small_objects_of_a_dream_are_left_out(videos):
  area = np.pi * 10**2 / (SIZE[0] * SIZE[1])
  config = dataclasses.replace(DREAMS, min_object_fraction=1.5 * area)
  sampler = make(videos[1:], config)
  assert {sampler.describe(index).object_id for index in range(20)} == {1}


def test_merged_objects_are_one(videos):
  merged = dataclasses.replace(videos[0], object_ids=(1,), merge_objects=True)
  sampler = make([merged], MIXED)
  for index in range(6):
    found = sampler.describe(index)
    assert found.object_id == 1
    assert getattr(found, 'moving', (1,)) == (1,)


def test_dreams_of_nothing_are_dreamt_again_but_not_for_ever(
  videos, monkeypatch
):
  calls = []
  real = lucid.dream

  def empty_at_first(*args, **rest):
    dream = real(*args, **rest)
    calls.append(args)
    if len(calls) > hidden:
      return dream
    nothing = np.zeros_like(dream.reference_labels)
    return dataclasses.replace(dream, reference_labels=nothing)

  monkeypatch.setattr(lucid, 'dream', empty_at_first)
  hidden = 2
  assert make(videos, DREAMS).example(0)['reference_mask'].any()
  assert len(calls) == 3
  calls.clear()
  hidden = 100
  assert not make(videos, DREAMS).example(0)['reference_mask'].any()
  assert len(calls) == 5


# --- Backgrounds. ------------------------------------------------------------


def test_backgrounds_change_nothing_and_are_all_prepared(
  videos, tmp_path, monkeypatch
):
  stills = [one_frame(videos[0])]
  plain = digests(make(videos, DREAMS, stills=stills), range(12))
  cache = backgrounds.BackgroundCache(tmp_path / 'cache', DREAMS.lucid)
  sampler = make(videos, DREAMS, stills=stills, backgrounds=cache)
  sampler.prepare_backgrounds(2)

  def no_inpainting(*_):
    raise AssertionError('a background is missing')

  monkeypatch.setattr(lucid, 'inpaint', no_inpainting)
  assert digests(sampler, range(12)) == plain


@pytest.mark.parametrize(
  ('change', 'expected'),
  [
    ({'dream_fraction': 0.0}, set()),
    ({'stills_fraction': 1.0}, {'photo/0'}),
    ({'stills_fraction': 0.0}, {'short/0', 'short/1', 'short/2'}),
    ({'dream_fraction': 0.0, 'dream_only_steps': 1},
     {'photo/0', 'short/0', 'short/1', 'short/2'}),
  ],
)  # fmt: skip
def test_only_frames_that_can_be_drawn_are_prepared(
  videos, monkeypatch, change, expected
):
  prepared = set()

  def prepare(_, tasks, workers):
    assert workers == 2
    prepared.update(task.name for task in tasks)

  monkeypatch.setattr(backgrounds, 'prepare', prepare)
  config = dataclasses.replace(MIXED, **change)
  stills = [one_frame(videos[0])]
  without = make(videos[1:], config, stills=stills)
  without.prepare_backgrounds(2)
  assert not prepared
  cache = backgrounds.BackgroundCache('nowhere', config.lucid)
  make(
    videos[1:], config, stills=stills, backgrounds=cache
  ).prepare_backgrounds(2)
  assert prepared == expected


# --- Real data. --------------------------------------------------------------


def test_real_photos_and_videos_mix(savos_data):
  photos = stills.load(savos_data / 'stills' / 'COCO128-seg')
  assert max(len(photo.object_ids) for photo in photos) == 42
  config = dataclasses.replace(MIXED, crop_size=(96, 160), clip_frames=2)
  sampler = make(
    davis.load(savos_data / 'DAVIS', 'train', '2016'), config, stills=photos
  )
  for index in range(8):
    example = sampler.example(index)
    assert example['reference_mask'].any()
    assert example['frames'].shape == (2, 96, 160, 3)
