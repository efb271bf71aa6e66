"""The base layer of a scene: a photo, or frames of a video."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from savos_jax.data.scenes import config as config_lib
from savos_jax.data.scenes import sampling

# The smallest window, as a share of the frame's sides; as in `inference.zoom`.
_SMALLEST = 0.25
# Number of a frame's objects that are searched.
_MOST_OBJECTS = 8
_HEIGHT, _WIDTH, _FIRST, _LENGTH = 1, 2, 3, 4


class Base(NamedTuple):
  """A photo or a video's frames, and the windows that show them.

  Attributes:
    images: the frames' rows in the bank, int32 [T + 1], the reference first.
    object_id: label of the scene's main object.
    other_id: label of another object in the reference; 0 if there is none.
    is_video: whether the frames come from a video.
    placements: one per frame, arrays of [T + 1].
    fraction: the object's longer side as a share of the reference's window.
  """

  images: jax.Array
  object_id: jax.Array
  other_id: jax.Array
  is_video: jax.Array
  placements: sampling.Placement
  fraction: jax.Array


def _draw_object(key, bank, video_fraction):
  """Returns the row of an object, and whether it is from a video."""
  which, video_key, photo_key = jax.random.split(key, 3)
  videos, photos = bank['video_objects'], bank['photo_objects']
  if not videos.size or not photos.size:
    only = videos if videos.size else photos
    row = only[jax.random.randint(which, (), 0, only.size)]
    return row, jnp.asarray(bool(videos.size))
  is_video = jax.random.uniform(which) < video_fraction
  row = jnp.where(
    is_video,
    videos[jax.random.randint(video_key, (), 0, videos.size)],
    photos[jax.random.randint(photo_key, (), 0, photos.size)],
  )
  return row, is_video


def _draw_frames(key, image, reference, config):
  """Returns the bank's indices of the reference and T frames, [T + 1].

  Time runs forwards or backwards, towards the side with more frames or at
  random. Frames beyond the video's end are clamped to its last. For a photo,
  all frames are that photo.
  """
  skip_key, gap_key, side_key = jax.random.split(key, 3)
  # Log-uniform: every scale of distance is equally likely.
  skip = jnp.exp(
    jax.random.uniform(skip_key, maxval=jnp.log(float(config.max_skip)))
  )
  gaps = jax.random.randint(
    gap_key, (config.frames - 1,), 1, config.max_gap + 1
  )
  distances = jnp.concatenate(
    [jnp.round(skip)[None].astype(jnp.int32), gaps]
  ).cumsum()
  first, length = image[_FIRST], image[_LENGTH]
  before, after = reference - first, first + length - 1 - reference
  coin = jax.random.bernoulli(side_key)
  enough = distances[-1]
  forwards = jnp.where(
    (before >= enough) == (after >= enough), coin, after >= enough
  )
  # If neither side has enough frames.
  forwards = jnp.where(
    (before < enough) & (after < enough), after >= before, forwards
  )
  frames = reference + jnp.where(forwards, 1, -1) * distances
  frames = jnp.clip(frames, first, first + length - 1)
  return jnp.concatenate([reference[None], frames])


def _rows_of(bank, image):
  """Returns the rows of an image's first objects, and which of them exist."""
  first, count = bank['first_object'][image], bank['object_count'][image]
  numbers = jnp.arange(_MOST_OBJECTS)
  rows = jnp.clip(first + numbers, 0, bank['objects'].shape[0] - 1)
  return rows, numbers < count


def _box_of(bank, image, object_id):
  """Returns an object's box, float32 [4], and whether it is in the image."""
  rows, there = _rows_of(bank, image)
  found = there & (bank['objects'][rows, 1] == object_id)
  row = bank['objects'][rows[found.argmax()]]
  whole = jnp.stack(
    [0, 0, bank['images'][image, _HEIGHT], bank['images'][image, _WIDTH]]
  )
  return jnp.where(found.any(), row[2:6], whole).astype(
    jnp.float32
  ), found.any()


def _draw_other(key, bank, image, object_id):
  """Returns the label of another object of the image, 0 if there is none."""
  rows, there = _rows_of(bank, image)
  ids = bank['objects'][rows, 1]
  scores = jax.random.uniform(key, rows.shape)
  scores = jnp.where(there & (ids != object_id), scores, 0.0)
  return jnp.where(scores.max() > 0, ids[scores.argmax()], 0)


def _inside(center, reach, length):
  """Keeps a window with this half-extent inside the image, if it fits."""
  low, high = reach, length - 1.0 - reach
  middle = (length - 1.0) / 2.0
  return jnp.where(low > high, middle, jnp.clip(center, low, high))


def _window(key, image, box, found, close, config):
  """Draws the window that shows an image.

  Returns:
    Its centre (y, x) and the number of image pixels per example pixel.
  """
  height, width = config.size
  fraction_key, share_key, jitter_key = jax.random.split(key, 3)
  sides = image[_HEIGHT : _WIDTH + 1].astype(jnp.float32)
  largest = jnp.minimum(sides[0] / height, sides[1] / width)
  extent = jnp.maximum((box[2] - box[0]) / height, (box[3] - box[1]) / width)
  fraction = jax.random.uniform(
    fraction_key,
    minval=config.close_range[0],
    maxval=config.close_range[1],
  )
  share = jax.random.uniform(share_key, minval=0.6, maxval=1.1)
  step = jnp.where(
    close & found,
    jnp.clip(extent / fraction, _SMALLEST * largest, 1.1 * largest),
    share * largest,
  )
  # How far the object may be from the middle.
  reach = jnp.where(close, 0.15, 0.4)
  jitter = jax.random.uniform(jitter_key, (2,), minval=-1.0) * reach
  window = step * jnp.array([height, width], jnp.float32)
  center = jnp.stack([box[0] + box[2], box[1] + box[3]]) / 2.0
  center = _inside(center + jitter * window, window / 2.0, sides)
  return center, step, extent / step


def draw(
  key: jax.Array,
  bank: Mapping[str, jax.Array],
  config: config_lib.SceneConfig,
) -> Base:
  """Draws a photo or a video's frames, and the windows that show them.

  Args:
    key: of the random choices.
    bank: arrays of a `bank.Bank`.
    config: the ranges.

  Returns:
    The base. One window is drawn for the reference and another for all other
    frames: close to the object, or most of the frame.
  """
  keys = iter(jax.random.split(key, 12))
  row, is_video = _draw_object(next(keys), bank, config.video_fraction)
  reference, object_id = bank['objects'][row, 0], bank['objects'][row, 1]
  numbers = _draw_frames(
    next(keys), bank['images'][reference], reference, config
  )
  close = jax.random.uniform(next(keys)) < config.close_probability
  windows = []
  for number in (numbers[0], numbers[1]):
    box, found = _box_of(bank, number, object_id)
    windows.append(
      _window(next(keys), bank['images'][number], box, found, close, config)
    )
  (center, step, fraction), (later, later_step, _) = windows

  def per_frame(first, later, change=0.0):
    """Joins the reference's value and the others', which drift over time."""
    others = later + change * jnp.arange(config.frames, dtype=jnp.float32)
    return jnp.concatenate([jnp.asarray(first, jnp.float32)[None], others])

  # Photos get a slowly moving camera; in a video it moves already.
  drift = 0.02 * jax.random.normal(next(keys), (4,))
  drift = jnp.where(is_video, 0.0, drift)
  most = jnp.deg2rad(jnp.where(is_video, config.rotation / 3, config.rotation))
  angles = jax.random.uniform(next(keys), (2,), minval=-most, maxval=most)
  height, width = config.size
  middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
  flip = jnp.where(
    jax.random.uniform(next(keys)) < config.flip_probability, -1.0, 1.0
  )
  steps = jnp.exp(per_frame(jnp.log(step), jnp.log(later_step), drift[0]))
  return Base(
    numbers,
    object_id,
    _draw_other(next(keys), bank, reference, object_id),
    is_video,
    sampling.Placement(
      per_frame(center[0], later[0]),
      per_frame(center[1], later[1]),
      per_frame(middle_y, middle_y, height * drift[1]),
      per_frame(middle_x, middle_x, width * drift[2]),
      steps,
      flip * steps,
      per_frame(angles[0], angles[1], drift[3]),
    ),
    fraction,
  )
