"""Training examples: functions of (seed, index), aligned, with the object."""

import dataclasses

import cv2
import numpy as np
import pytest

from savos_jax import errors
from savos_jax.data import masks
from savos_jax.data import perturb
from savos_jax.data import pipeline
from savos_jax.data import sampling
from savos_jax.data import sequences

SIZE = (90, 160)
NO_NOISE = perturb.MaskNoise(
  shift=0.0, scale=(1.0, 1.0), spline=0.0, dilation=0, blur=0.0,
  drop_probability=0.0,
)  # fmt: skip
CONFIG = sampling.SamplingConfig(
  crop_size=(64, 96), zoom_range=(1.0, 2.0), max_skip=3, noise=NO_NOISE
)


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
  """Two videos whose frames tell their number and show where the object is.

  Red is 10 * frame number; green is 255 on object 1, blue on object 2.
  """
  root = tmp_path_factory.mktemp('videos')
  return [make_video(root / name, name, count) for name, count in
          (('long', 9), ('short', 3))]  # fmt: skip


def make_video(folder, name, count):
  folder.mkdir()
  frames, mask_files = [], []
  for number in range(count):
    labels = np.zeros(SIZE, np.uint8)
    cv2.circle(labels, (30 + 8 * number, 40), 14, 1, -1)
    cv2.circle(labels, (120 - 4 * number, 60), 10, 2, -1)
    frame = np.zeros((*SIZE, 3), np.uint8)
    frame[..., 0] = 10 * number
    frame[labels == 1, 1] = 255
    frame[labels == 2, 2] = 255
    frames.append(folder / f'{number:05d}.png')
    mask_files.append(folder / f'mask{number:05d}.png')
    cv2.imwrite(str(frames[-1]), frame[..., ::-1])
    masks.write_mask(mask_files[-1], labels)
  return sequences.open_sequence(name, frames, mask_files)


def test_same_seed_and_index_give_the_same_bytes(videos):
  a = sampling.Sampler(videos, CONFIG, seed=3)
  b = sampling.Sampler(videos, CONFIG, seed=3)
  for index in (5, 0, 5):  # In any order.
    first, second = a.example(index), b.example(index)
    assert first.keys() == second.keys()
    for name in first:
      np.testing.assert_array_equal(first[name], second[name])
  other = sampling.Sampler(videos, CONFIG, seed=4).example(5)
  assert any((other[n] != a.example(5)[n]).any() for n in ('frame', 'mask'))


def test_pairs_respect_the_skip_and_the_previous_frame(videos):
  sampler = sampling.Sampler(videos, CONFIG, seed=0)
  pairs = [sampler.pair(index) for index in range(200)]
  skips = {abs(p.target - p.reference) for p in pairs}
  assert skips == {1, 2, 3}
  for p in pairs:
    assert p.previous == p.target - np.sign(p.target - p.reference)
    assert 0 <= p.previous < len(p.sequence)
  assert {p.sequence.name for p in pairs} == {'long', 'short'}
  assert {p.object_id for p in pairs} == {1, 2}


def test_example_is_made_of_its_pair(videos):
  sampler = sampling.Sampler(videos, CONFIG, seed=1)
  for index in range(20):
    pair, example = sampler.pair(index), sampler.example(index)
    background = example['frame'][example['frame'][..., 1:].max(-1) < 30]
    assert abs(np.median(background[:, 0]) - 10 * pair.target) <= 1
    reference = example['reference_frame']
    background = reference[reference[..., 1:].max(-1) < 30]
    assert abs(np.median(background[:, 0]) - 10 * pair.reference) <= 1


def test_images_and_masks_move_together(videos):
  sampler = sampling.Sampler(videos, CONFIG, seed=2)
  for index in range(30):
    channel = sampler.pair(index).object_id
    example = sampler.example(index)
    for frame, mask in (('reference_frame', 'reference_mask'),
                        ('frame', 'mask')):  # fmt: skip
      shown = example[frame][..., channel] > 127
      # One pixel of an outline may round either way.
      differ = (shown != (example[mask] > 0)).sum()
      outline = cv2.morphologyEx(
        example[mask], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
      ).sum()
      assert differ <= 0.2 * outline, (index, frame)


def test_the_object_is_in_sight_in_the_reference(videos):
  sampler = sampling.Sampler(videos, CONFIG, seed=0)
  for index in range(60):
    assert sampler.example(index)['reference_mask'].any()


def test_small_objects_are_left_out(videos):
  area = np.pi * 10**2 / (SIZE[0] * SIZE[1])
  config = dataclasses.replace(CONFIG, min_object_fraction=1.5 * area)
  sampler = sampling.Sampler(videos, config, seed=0)
  assert {sampler.pair(index).object_id for index in range(50)} == {1}


def test_flip_and_zoom(videos):
  fixed = dataclasses.replace(
    CONFIG, zoom_range=(1.0, 1.0), flip_probability=0.0
  )
  mirrored = dataclasses.replace(fixed, flip_probability=1.0)
  plain = sampling.Sampler(videos, fixed, 0).example(3)
  flipped = sampling.Sampler(videos, mirrored, 0).example(3)
  np.testing.assert_array_equal(plain['frame'][:, ::-1], flipped['frame'])
  np.testing.assert_array_equal(plain['mask'][:, ::-1], flipped['mask'])
  areas = [
    sampling.Sampler(
      videos, dataclasses.replace(fixed, zoom_range=(z, z)), 0
    ).example(3)['reference_mask'].sum()
    for z in (1.0, 2.0)
  ]  # fmt: skip
  assert areas[1] > 2 * areas[0]


def test_names_say_sequence_object_and_frames(videos):
  sampler = sampling.Sampler(videos, CONFIG, seed=0)
  pair = sampler.pair(7)
  (name,) = sampler.names([7])
  assert pair.sequence.name in name
  assert f'object {pair.object_id}' in name
  assert f'{pair.reference:05d} -> {pair.target:05d}' in name


def test_perturbation_without_noise_changes_nothing():
  mask = np.zeros((40, 60), np.uint8)
  mask[10:30, 20:40] = 1
  found = perturb.perturb_mask(mask, NO_NOISE, np.random.default_rng(0))
  np.testing.assert_array_equal(found, mask * 255)


def iou(a, b):
  return (a & b).sum() / (a | b).sum()


def test_perturbation_is_soft_and_stays_near_the_mask():
  mask = np.zeros((128, 224), np.uint8)
  cv2.ellipse(mask, (100, 60), (40, 25), 20, 0, 360, 1, -1)
  overlaps, grey = [], 0
  for seed in range(40):
    noise = perturb.MaskNoise(drop_probability=0.0)
    found = perturb.perturb_mask(mask, noise, np.random.default_rng(seed))
    overlaps.append(iou(found > 127, mask > 0))
    grey += ((found > 0) & (found < 255)).any()
  assert min(overlaps) > 0.5
  assert 0.7 < np.mean(overlaps) < 0.97
  assert grey > 20


@pytest.mark.parametrize('pixels', [0, 1])
def test_perturbation_takes_empty_and_one_pixel_masks(pixels):
  mask = np.zeros((40, 60), np.uint8)
  mask.flat[:pixels] = 1
  for seed in range(10):
    found = perturb.perturb_mask(
      mask, perturb.MaskNoise(), np.random.default_rng(seed)
    )
    assert found.shape == mask.shape
    assert found.any() <= bool(pixels)


def test_dropped_mask_is_empty():
  noise = perturb.MaskNoise(drop_probability=1.0)
  mask = np.ones((8, 8), np.uint8)
  assert not perturb.perturb_mask(mask, noise, np.random.default_rng(0)).any()


def take(sampler, start, stop, batch_size=2):
  return list(
    pipeline.batches(
      sampler.example, CONFIG.crop_size, batch_size, start, stop, 2, 2
    )
  )


def test_pipeline_from_a_later_step_gives_the_same_batches(videos):
  sampler = sampling.Sampler(videos, CONFIG, seed=0)
  whole, tail = take(sampler, 0, 5), take(sampler, 3, 5)
  assert [list(b['index']) for b in whole] == [
    [0, 1], [2, 3], [4, 5], [6, 7], [8, 9],
  ]  # fmt: skip
  assert len(tail) == 2
  for a, b in zip(whole[3:], tail, strict=True):
    for name in a:
      np.testing.assert_array_equal(a[name], b[name])
  assert whole[0]['frame'].shape == (2, 64, 96, 3)
  np.testing.assert_array_equal(
    whole[1]['guidance'][1], sampler.example(3)['guidance']
  )


def test_pipeline_raises_the_reader_s_own_error(videos):
  broken = dataclasses.replace(videos[0], height=91)
  sampler = sampling.Sampler([broken], CONFIG, seed=0)
  with pytest.raises(errors.SavosError, match='long'):
    take(sampler, 0, 2)


def test_single_frame_videos_cannot_train(videos):
  one = dataclasses.replace(
    videos[0], frames=videos[0].frames[:1], masks=videos[0].masks[:1]
  )
  with pytest.raises(errors.SavosError, match='two frames'):
    sampling.Sampler([one], CONFIG, seed=0)
