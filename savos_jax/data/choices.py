"""The random choices behind an example: frames, objects, what moves in a dream.

Pure functions: all randomness comes from the generator passed in.
"""

import zlib

import numpy as np

from savos_jax.data import lucid


def curriculum_limit(full: int, step: int, steps: int) -> int:
  """Returns the largest distance at a step: it grows linearly from 1 to `full`.

  Args:
    full: the limit at the end, frames.
    step: counted from the start of the curriculum.
    steps: length of the curriculum; 0: `full` from the start.

  Returns:
    The limit, frames.
  """
  if step >= steps:
    return full
  return 1 + max(step, 0) * (full - 1) // steps


def draw_times(
  length: int,
  reference: int,
  count: int,
  max_skip: int,
  max_gap: int,
  rng: np.random.Generator,
) -> tuple[int, list[int]]:
  """Draws the target frames of a clip, and the frame of the previous mask.

  The clip runs from the reference forwards or backwards in time: at random if
  all targets fit on both sides, else towards the side with more frames.
  Distances are shortened to leave room for the remaining targets; if even
  consecutive frames do not fit, the last one is repeated.

  Args:
    length: of the video, at least 2 frames.
    reference: frame index.
    count: T, at least 1.
    max_skip: largest distance from the reference to the first target, frames.
    max_gap: largest distance from target to target, and from the previous mask
      to the first target, frames.
    rng: source of randomness.

  Returns:
    The frame index of the previous mask, from the reference (inclusive) up to
    the first target; T frame indices.
  """
  rooms = {1: length - 1 - reference, -1: reference}
  # Every side with enough room is equally likely.
  enough = min(count, max(rooms.values()))
  directions = [d for d, room in rooms.items() if room >= enough]
  direction = directions[rng.integers(len(directions))]
  room = rooms[direction]
  distances, distance = [], 0
  for number in range(count):
    still_to_come = count - 1 - number
    limit = min(
      max_gap if number else max_skip, room - distance - still_to_come
    )
    if limit >= 1:
      distance += int(rng.integers(1, limit + 1))
    else:
      distance = min(distance + 1, room)
    distances.append(distance)
  gap = int(rng.integers(1, max_gap + 1))
  previous = max(distances[0] - gap, 0)
  return (
    reference + direction * previous,
    [reference + direction * d for d in distances],
  )


def object_areas(labels: np.ndarray) -> np.ndarray:
  """Returns the share of the frame that each id covers, float64 [256].

  Args:
    labels: uint8 [H, W]. The share of the background, id 0, is given as 0.
  """
  areas = np.bincount(labels.ravel(), minlength=256) / labels.size
  areas[0] = 0.0
  return areas


def draw_object(
  areas: np.ndarray, min_fraction: float, rng: np.random.Generator
) -> int | None:
  """Draws one of the objects that are large enough.

  Args:
    areas: from `object_areas`.
    min_fraction: smallest share of the frame.
    rng: source of randomness.

  Returns:
    An id; None if all objects are too small.
  """
  large = np.flatnonzero((areas >= min_fraction) & (areas > 0))
  return int(large[rng.integers(large.size)]) if large.size else None


def moving_subsets(
  labels: np.ndarray, seed: int, name: str, count: int
) -> list[tuple[int, ...]]:
  """Returns the sets of objects that may move in dreams of a frame.

  With one or two objects, every non-empty set. With more, at most `count` sets,
  the same ones each time, because each needs an inpainted background.

  Args:
    labels: uint8 [H, W].
    seed: seeds the random sets.
    name: of the frame, so that different frames get different sets.
    count: largest number of sets for three or more objects, at least 1.

  Returns:
    Distinct sets of ascending ids; none for a frame without objects.
  """
  ids = [int(i) for i in np.flatnonzero(object_areas(labels))]
  if len(ids) <= 2:
    singles: list[tuple[int, ...]] = [(i,) for i in ids]
    return [*singles, tuple(ids)] if len(ids) == 2 else singles
  # Python's hash() of a string differs from process to process.
  rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
  drawn: set[tuple[int, ...]] = set()
  # Sets repeat; few objects may have fewer distinct sets than `count`.
  for _ in range(4 * count):
    if len(drawn) == count:
      break
    drawn.add(lucid.draw_moving(ids, rng))
  return sorted(drawn)
