"""Training examples: functions of (seed, index), aligned, with the object."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from savos_jax.data import examples
from savos_jax.datasets import masks
from savos_jax.foundation import errors
from tests import sampling_videos

CLIPS = sampling_videos.CLIPS
DREAMS = sampling_videos.DREAMS
SIZE = sampling_videos.SIZE
digests = sampling_videos.digests
draw_frame = sampling_videos.draw_frame
draw_labels = sampling_videos.draw_labels
make = sampling_videos.make
mixed_sampler = sampling_videos.mixed_sampler

# The whole frame at its own size, so that arrays can be compared as they are.
WHOLE = dataclasses.replace(
  CLIPS, crop_size=SIZE, zoom_range=(1.0, 1.0), flip_probability=0.0
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp('videos')


@pytest.fixture(scope='module')
def videos(folder):
  return sampling_videos.open_videos(folder)


# --- The same everywhere. ----------------------------------------------------


def test_same_seed_and_index_give_the_same_bytes_in_any_order(folder):
  forwards = digests(mixed_sampler(folder), range(12))
  backwards = digests(mixed_sampler(folder), reversed(range(12)))
  assert forwards == backwards
  assert len(set(forwards.values())) == 12
  kinds = [type(mixed_sampler(folder).describe(i)) for i in range(12)]
  assert set(kinds) == {examples.Clip, examples.DreamSource}


def test_another_process_makes_the_same_bytes(folder, videos):
  code = (
    'from tests import sampling_videos; '
    f'sampler = sampling_videos.mixed_sampler({str(folder)!r}); '
    'print(sampling_videos.digests(sampler, range(8)))'
  )
  result = subprocess.run(
    [sys.executable, '-c', code],
    cwd=pathlib.Path(__file__).parents[1],
    env=os.environ | {'PYTHONHASHSEED': '7'},
    capture_output=True,
    text=True,
    timeout=100,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  assert result.stdout.strip() == str(digests(mixed_sampler(folder), range(8)))


def test_another_seed_makes_other_examples(videos):
  a, b = (digests(make(videos, seed=seed), range(5)) for seed in (0, 1))
  assert not set(a.values()) & set(b.values())


# --- Clips. ------------------------------------------------------------------


def test_example_has_the_promised_arrays(videos):
  for config in (CLIPS, DREAMS):
    example = make(videos, config).example(7)
    shapes = {name: (a.dtype, a.shape) for name, a in example.items()}
    assert shapes == {
      'index': (np.int64, ()),
      'reference_frame': (np.uint8, (64, 96, 3)),
      'reference_mask': (np.uint8, (64, 96)),
      'frames': (np.uint8, (3, 64, 96, 3)),
      'masks': (np.uint8, (3, 64, 96)),
      'guidance': (np.uint8, (64, 96)),
    }
    assert example['index'] == 7
    assert set(np.unique(example['masks'])) <= {0, 1}


def test_example_is_made_of_its_frames(videos):
  sampler = make(videos, WHOLE)
  for index in range(30):
    clip, example = sampler.describe(index), sampler.example(index)
    labels = [draw_labels(i) for i in range(len(clip.sequence))]

    def frame(i, labels=labels):
      return draw_frame(labels[i], i)

    def mask(i, labels=labels, clip=clip):
      return labels[i] == clip.object_id

    for name, expected in (
      ('reference_frame', frame(clip.reference)),
      ('reference_mask', mask(clip.reference)),
      ('frames', [frame(i) for i in clip.targets]),
      ('masks', [mask(i) for i in clip.targets]),
      ('guidance', mask(clip.previous) * 255),
    ):
      np.testing.assert_array_equal(example[name], expected, err_msg=name)


def test_crops_keep_frames_and_masks_aligned(videos):
  sampler = make(videos)
  for index in range(20):
    clip, example = sampler.describe(index), sampler.example(index)
    for t, number in enumerate(clip.targets):
      frame, mask = example['frames'][t], example['masks'][t]
      background = frame[frame.max(-1) < 100]
      assert abs(np.median(background[:, 0]) - 10 * number) <= 1
      shown = frame[..., {1: 1, 2: 2, 3: 0}[clip.object_id]] > 127
      # One pixel of an outline may round either way.
      outline = cv2.morphologyEx(
        mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
      ).sum()
      assert (shown != (mask > 0)).sum() <= 0.2 * outline


def test_reference_and_near_targets_always_show_the_object(videos):
  config = dataclasses.replace(CLIPS, zoom_range=(2.0, 2.0), max_skip=2)
  sampler = make(videos, config)
  for index in range(60):
    example = sampler.example(index)
    assert example['reference_mask'].any()
    # The third object may be gone.
    if sampler.describe(index).object_id < 3:
      assert example['masks'][0].any()


def test_all_frames_and_objects_are_drawn_and_late_ones_only_where_they_are(
  videos,
):
  clips = [make(videos).describe(index) for index in range(300)]
  long = [clip for clip in clips if clip.sequence.name == 'long']
  assert 100 < len(long) < 200
  assert {clip.reference for clip in long} == set(range(9))
  for object_id, frames in ((1, range(9)), (2, range(9)), (3, range(2, 6))):
    found = {c.reference for c in long if c.object_id == object_id}
    assert found == set(frames)


def test_targets_without_the_object_stay_in(videos):
  sampler = make(videos, WHOLE)
  gone = 0
  for index in range(300):
    clip = sampler.describe(index)
    absent = [not 2 <= i < 6 for i in clip.targets]
    if clip.object_id == 3 and any(absent):
      example = sampler.example(index)
      assert [not mask.any() for mask in example['masks']] == absent
      gone += 1
  assert gone > 5


def test_short_videos_fill_long_clips(videos):
  config = dataclasses.replace(WHOLE, clip_frames=6, max_skip=25, max_gap=9)
  example = make(videos[1:], config).example(0)
  assert example['frames'].shape[0] == 6
  np.testing.assert_array_equal(example['frames'][-1], example['frames'][-2])


def test_curriculum_counts_from_the_first_step_with_clips(tmp_path):
  video = sampling_videos.open_video(
    tmp_path, 'steady', 15, lambda _: draw_labels(0)
  )
  config = dataclasses.replace(
    CLIPS, clip_frames=2, max_skip=7, max_gap=5, curriculum_steps=10,
    dream_only_steps=4,
  )  # fmt: skip
  sampler = make([video], config, examples_per_step=150)
  for step, max_skip, max_gap in ((4, 1, 1), (9, 4, 3), (14, 7, 5)):
    clips = [sampler.describe(150 * step + i) for i in range(150)]
    skips = [abs(clip.targets[0] - clip.reference) for clip in clips]
    gaps = [abs(clip.targets[1] - clip.targets[0]) for clip in clips]
    assert set(skips) == set(range(1, max_skip + 1))
    assert set(gaps) == set(range(1, max_gap + 1))


def test_small_objects_are_left_out(videos):
  area = np.pi * 10**2 / (SIZE[0] * SIZE[1])
  config = dataclasses.replace(CLIPS, min_object_fraction=1.5 * area)
  sampler = make(videos[1:], config)
  assert {sampler.describe(index).object_id for index in range(25)} == {1}


def test_largest_object_seen_is_taken_where_all_are_small(videos):
  config = dataclasses.replace(CLIPS, min_object_fraction=0.9)
  sampler = make(videos, config)
  assert {sampler.describe(index).object_id for index in range(5)} == {1}


def test_videos_without_any_object_are_named(videos, tmp_path):
  empty = tmp_path / 'empty.png'
  masks.write_mask(empty, np.zeros(SIZE, np.uint8))
  video = dataclasses.replace(videos[0], masks=(empty,) * 9)
  with pytest.raises(errors.SavosError, match=r'empty\.png'):
    make([video]).example(0)


# --- Messages. ---------------------------------------------------------------


def test_names_say_kind_sequence_object_and_frames(videos):
  sampler = make(videos)
  clip = sampler.describe(7)
  (name,) = sampler.names([7])
  targets = ', '.join(f'{i:05d}' for i in clip.targets)
  assert name == (
    f'clip of {clip.sequence.name} (object {clip.object_id}, frames '
    f'{clip.reference:05d} -> {targets})'
  )
  sampler = make(videos, DREAMS)
  source = sampler.describe(7)
  (name,) = sampler.names(np.array([7]))
  assert name == (
    f'dream of {source.sequence.name} (object {source.object_id}, frame '
    f'{source.frame:05d}, moving {", ".join(map(str, source.moving))})'
  )


@pytest.mark.parametrize('config', [CLIPS, DREAMS])
def test_reader_s_own_error_comes_out(videos, config):
  broken = dataclasses.replace(videos[0], height=91)
  with pytest.raises(errors.SavosError, match='long'):
    make([broken], config).example(0)
