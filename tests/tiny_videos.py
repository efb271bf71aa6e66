"""A short annotated video, drawn at random."""

import pathlib

import cv2
import numpy as np

from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.video import sources

SIZE = (45, 70)


def noise(folder: pathlib.Path, count: int, size: tuple[int, int], name: str):
  """Opens a new folder of frames of noise, the k-th named `name.format(k)`."""
  rng = np.random.default_rng(0)
  for number in range(count):
    frame = rng.integers(0, 256, (*size, 3), np.uint8)
    cv2.imwrite(str(folder / f'{name.format(number)}.png'), frame)
  return sources.open_video(folder)


def write(folder: pathlib.Path) -> sequences.Sequence:
  """Writes four frames with objects 2 and 5."""
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
