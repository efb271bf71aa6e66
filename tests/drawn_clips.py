"""A video's masks of every difficult kind, drawn."""

import numpy as np

from savos_jax.annotations import clip as clip_lib

SIZE = (40, 64)
NAMES = {1: 'car', 2: 'dog', 7: 'dog', 9: ''}


def labels(number: int) -> np.ndarray:
  """Frame 0..3 of a clip, uint8 [H, W].

  Object 1 has a hole, in it is object 2; 2 has two parts and leaves the
  picture after frame 1; 7 is one pixel wide, along the border; 9 is never seen.
  """
  drawn = np.zeros(SIZE, np.uint8)
  drawn[5:25, 6 + number : 30 + number] = 1
  drawn[9:19, 12 + number : 24 + number] = 0
  if number < 2:
    drawn[12:16, 15 + number : 20 + number] = 2
    drawn[30:36, 40:47] = 2
    drawn[33, 43] = 0
  if number != 1:
    drawn[:, -1] = 7
  return drawn


def clip(names=NAMES) -> clip_lib.Clip:
  """Returns what is said of all frames."""
  names = {i: name or f'object_{i}' for i, name in names.items()}
  return clip_lib.Clip('some clip', *SIZE, names)


def frames() -> list[clip_lib.Frame]:
  """Returns four frames; of object 1 it is known how sure it is."""
  image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
  return [
    clip_lib.Frame(
      number,
      f'{number:05d}',
      f'{number:05d}.png',
      number / 25,
      image,
      labels(number),
      {1: 0.5 + number / 8},
    )
    for number in range(4)
  ]
