"""Scenes with rivals, of made-up photos and a made-up video."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from savos_jax.data.scenes import config as config_lib
from savos_jax.data.scenes import generate
from savos_jax.data.scenes import sampling

pytestmark = pytest.mark.slow

SIZE = (48, 64)
CONFIG = config_lib.SceneConfig(size=SIZE, frames=2, objects=3, rivals=2)


def _image(rng, ids, size=(60, 80)):
  """A photo with squares: RGB says which (50 * id), so that it can be told."""
  labels = np.zeros(size, np.uint8)
  for number in ids:
    top, left = rng.integers(5, 35), 5 + 25 * (number - 1)
    labels[top : top + 20, left : left + 20] = number
  rgb = np.stack([50 * labels, 200 - 30 * labels, np.full(size, 90)], axis=-1)
  return rgb.astype(np.uint8), labels


def _bank(pictures, lengths):
  """The arrays that `bank.Bank` has, written out."""
  pixels, images, objects, first, counts = [], [], [], [], []
  offset = begin = 0
  for group, length in enumerate(lengths):
    for rgb, labels in pictures[begin : begin + length]:
      channels = [*np.moveaxis(rgb, -1, 0), labels]
      packed = sum(c.astype(np.uint32) << 8 * i for i, c in enumerate(channels))
      pixels.append(packed.ravel())
      images.append((offset, *labels.shape, begin, length, group))
      offset += labels.size
      first.append(len(objects))
      ids = [i for i in np.unique(labels) if i]
      counts.append(len(ids))
      for i in ids:
        ys, xs = np.nonzero(labels == i)
        box = ys.min(), xs.min(), ys.max() + 1, xs.max() + 1
        objects.append((len(images) - 1, i, *box, ys.size, 0))
    begin += length
  images, objects = np.array(images, np.int32), np.array(objects, np.int32)
  of_video = images[objects[:, 0], 4] > 1
  photos = np.flatnonzero(~of_video).astype(np.int32)
  groups = images[objects[photos, 0], 5]
  return {
    'pixels': np.concatenate(pixels),
    'images': images,
    'objects': objects,
    'first_object': np.array(first, np.int32),
    'object_count': np.array(counts, np.int32),
    'video_objects': np.flatnonzero(of_video).astype(np.int32),
    'photo_objects': photos,
    'paste_objects': photos,
    'group_paste': np.array(
      [
        (np.searchsorted(groups, g), (groups == g).sum())
        for g in range(len(lengths))
      ],
      np.int32,
    ),
  }


@pytest.fixture(scope='module')
def bank():
  rng = np.random.default_rng(0)
  photos = [_image(rng, ids) for ids in [(1, 2), (2,), (1, 2, 3)]]
  video = [_image(rng, (1,)) for _ in range(4)]
  return _bank([*photos, *video], [1, 1, 1, 4])


@functools.cache
def _compiled(config, count):
  return jax.jit(functools.partial(generate.batch, config=config, count=count))


@pytest.fixture(scope='module')
def made(bank):
  return jax.device_get(_compiled(CONFIG, 16)(3, 0, bank))


def test_an_example_has_the_arrays_that_training_takes(made):
  shapes = {name: (x.shape, x.dtype) for name, x in made.items()}
  assert shapes == {
    'reference_frame': ((16, *SIZE, 3), np.uint8),
    'reference_mask': ((16, *SIZE), np.uint8),
    'frames': ((16, 2, *SIZE, 3), np.uint8),
    'masks': ((16, 2, *SIZE), np.uint8),
    'guidance': ((16, 3, *SIZE), np.uint8),
  }
  assert made['masks'].max() <= 3


def test_examples_are_a_function_of_seed_and_index(bank, made):
  run = _compiled(CONFIG, 16)
  again = jax.device_get(run(3, 0, bank))
  later = jax.device_get(run(3, 8, bank))
  other = jax.device_get(run(4, 0, bank))
  for name, array in made.items():
    np.testing.assert_array_equal(array, again[name])
    np.testing.assert_array_equal(array[8:], later[name][:8])
  assert (other['frames'] != made['frames']).any()


def test_most_references_show_an_object_and_many_show_several(made):
  counts = [len(set(np.unique(mask)) - {0}) for mask in made['reference_mask']]
  assert np.mean(np.array(counts) > 0) > 0.8
  assert max(counts) >= 2


def test_the_guidance_is_about_where_the_object_is(made):
  near = []
  for b in range(16):
    for k in range(3):
      mask = made['masks'][b, 0] == k + 1
      guidance = made['guidance'][b, k] > 127
      if mask.sum() > 50 and guidance.any():
        near.append((mask & guidance).sum() / (mask | guidance).sum())
  assert 0.3 < np.mean(near) < 0.95


def test_an_id_is_the_same_object_in_all_frames(bank):
  plain = dataclasses.replace(
    CONFIG, rival_probability=0.0, rotation=0.0, bend=0.0
  )
  run = _compiled(plain, 16)
  made = jax.device_get(run(0, 0, bank))
  seen = 0
  for b in range(16):
    frames = np.concatenate(
      [made['reference_frame'][b][None], made['frames'][b]]
    )
    masks = np.concatenate([made['reference_mask'][b][None], made['masks'][b]])
    for k in range(1, 4):
      # The light changes between frames; which of two is redder does not.
      means = [
        frame[mask == k].mean(axis=0)
        for frame, mask in zip(frames, masks, strict=True)
        if (mask == k).sum() > 30
      ]
      if len(means) < 2:
        continue
      seen += 1
      ratios = [mean[0] / mean[1] for mean in means]
      assert max(ratios) / min(ratios) < 2.0
  assert seen > 8


def test_without_videos_or_without_photos(bank):
  rng = np.random.default_rng(1)
  photos = _bank([_image(rng, (1, 2)), _image(rng, (3,))], [1, 1])
  made = jax.device_get(_compiled(CONFIG, 2)(0, 0, photos))
  assert made['reference_mask'].any()


def test_take_is_the_image_at_whole_pixels(bank):
  ys, xs = np.meshgrid(np.arange(60.0), np.arange(80.0), indexing='ij')
  taken = sampling.take(
    bank['pixels'],
    bank['images'][0],
    ys.astype(np.float32),
    xs.astype(np.float32),
    1,
  )
  rgb, labels = _image(np.random.default_rng(0), (1, 2))
  np.testing.assert_array_equal(taken.rgb, rgb)
  np.testing.assert_array_equal(taken.label, labels)
  np.testing.assert_array_equal(taken.share, labels == 1)


def test_take_mirrors_beyond_the_border_and_finds_no_object_there(bank):
  ys = np.array([[-3.0, 62.0]], np.float32)
  xs = np.array([[10.0, -5.0]], np.float32)
  taken = sampling.take(bank['pixels'], bank['images'][0], ys, xs, 0)
  rgb, _ = _image(np.random.default_rng(0), (1, 2))
  np.testing.assert_array_equal(taken.rgb[0], [rgb[2, 10], rgb[57, 4]])
  assert not taken.share.any()
