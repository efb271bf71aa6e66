"""The choices that make an example: frames, objects, what moves in a dream.

Pure functions; what they draw comes from the generator that they are given.
"""

import zlib

import numpy as np

from savos_jax.data import lucid


def curriculum_limit(full: int, step: int, steps: int) -> int:
  """Returns how large a distance may be at a step: from 1 to `full`, linearly.

  Args:
    full: the limit at the end, frames.
    step: since the start of the curriculum.
    steps: of the curriculum; 0: `full` at once.

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

  The clip goes from the reference forwards or backwards in time: a coin where
  there is room for all targets on both sides, else the side with more room.
  Distances are cut to what is left for the targets after them; where even
  neighbouring frames don't suffice, the last one is repeated.

  Args:
    length: of the video, at least 2 frames.
    reference: frame index.
    count: T, at least 1.
    max_skip: largest distance from the reference to the first target, frames.
    max_gap: largest distance from target to target, and from the previous mask
      to the first target, frames.
    rng: where the randomness comes from.

  Returns:
    The previous mask's frame index, between reference (included) and first
    target; T frame indices.
  """
  rooms = {1: length - 1 - reference, -1: reference}
  # All sides with room for the targets count the same.
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
    labels: uint8 [H, W]. The background, id 0, counts 0.
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
    rng: where the randomness comes from.

  Returns:
    An id; None where all objects are too small.
  """
  large = np.flatnonzero((areas >= min_fraction) & (areas > 0))
  return int(large[rng.integers(large.size)]) if large.size else None


def moving_subsets(
  labels: np.ndarray, seed: int, name: str, count: int
) -> list[tuple[int, ...]]:
  """Returns the sets of objects that may move in dreams of a frame.

  All non-empty ones of one or two objects. Of more objects, so many at most as
  are asked for, always the same: each needs an inpainted background.

  Args:
    labels: uint8 [H, W].
    seed: of the random sets.
    name: of the frame, so that the sets of frames differ.
    count: at most so many sets for three objects or more, at least 1.

  Returns:
    Sets of ascending ids, each set once; none for a frame without objects.
  """
  ids = [int(i) for i in np.flatnonzero(object_areas(labels))]
  if len(ids) <= 2:
    singles: list[tuple[int, ...]] = [(i,) for i in ids]
    return [*singles, tuple(ids)] if len(ids) == 2 else singles
  # Python's hash() of a string is another one in every process.
  rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
  drawn: set[tuple[int, ...]] = set()
  # Some come twice; of few objects there may be fewer sets than wanted.
  for _ in range(4 * count):
    if len(drawn) == count:
      break
    drawn.add(lucid.draw_moving(ids, rng))
  return sorted(drawn)
