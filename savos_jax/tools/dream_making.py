"""Makes dreams of one photo from the arguments of the program dream."""

import argparse
import pathlib
import time

import numpy as np
import tqdm

from savos_jax.data import lucid
from savos_jax.datasets import masks
from savos_jax.foundation import errors


def read(
  image: pathlib.Path, mask: pathlib.Path
) -> tuple[np.ndarray, np.ndarray]:
  """Reads the photo, RGB uint8 [H, W, 3], and its labels, uint8 [H, W].

  Raises:
    SavosError: a file is missing or not an image, the sizes differ, or the mask
      is empty.
  """
  frame, labels = masks.read_frame(image), masks.read_mask(mask)
  if labels.shape != frame.shape[:2]:
    raise errors.SavosError(
      f'{mask}: {labels.shape[1]}x{labels.shape[0]} pixels (width x height).\n'
      f'  Expected {frame.shape[1]}x{frame.shape[0]}, as {image}.'
    )
  if not labels.any():
    raise errors.SavosError(
      f'{mask}: the mask is empty.\n'
      '  Expected at least one object, since nothing else moves. Choose a '
      'frame that shows it.'
    )
  return frame, labels


def size_of(arguments: argparse.Namespace, labels) -> tuple[int, int]:
  """Returns (height, width) of a dream; an unset one keeps the aspect ratio."""
  height, width = arguments.height, arguments.width
  if height is None and width is None:
    return labels.shape
  if height is None:
    height = max(1, round(width * labels.shape[0] / labels.shape[1]))
  if width is None:
    width = max(1, round(height * labels.shape[1] / labels.shape[0]))
  return height, width


def check(arguments: argparse.Namespace, labels: np.ndarray) -> None:
  """Raises SavosError for a value out of range."""
  for name in ('count', 'targets', 'height', 'width'):
    value = getattr(arguments, name)
    if value is not None and value < 1:
      raise errors.SavosError(f'--{name} is {value}.\n  Expected 1 or more.')
  if arguments.seed < 0:
    raise errors.SavosError(
      f'--seed is {arguments.seed}.\n  Expected 0 or more.'
    )
  ids = [int(i) for i in np.unique(labels) if i]
  absent = sorted(set(arguments.moving or ()) - set(ids))
  if absent:
    raise errors.SavosError(
      f'--moving names {", ".join(map(str, absent))}, but {arguments.mask} '
      f'contains {", ".join(map(str, ids))}.\n  Expected ids that it contains.'
    )


def make(
  frame: np.ndarray,
  labels: np.ndarray,
  arguments: argparse.Namespace,
) -> tuple[list[lucid.Dream], str]:
  """Makes the dreams of a gallery.

  As in training, the background is inpainted once per set of moving objects.

  Args:
    frame: RGB uint8 [h, w, 3].
    labels: uint8 [h, w], not empty.
    arguments: the program's, checked; without `moving`, objects are drawn at
      random.

  Returns:
    The dreams; a line about the time they took.
  """
  config = lucid.LucidConfig(merge=arguments.merge)
  size = size_of(arguments, labels)
  ids = np.unique(labels[labels > 0])
  backgrounds, dreams = {}, []
  inpainting = dreaming = 0.0
  for number in tqdm.trange(
    arguments.count, desc='dreams', unit='dream', disable=None
  ):
    rng = np.random.default_rng([arguments.seed, number])
    moving = arguments.moving or lucid.draw_moving(ids, rng)
    started = time.perf_counter()
    if moving not in backgrounds:
      backgrounds[moving] = lucid.inpaint(frame, labels, moving, config)
    inpainted = time.perf_counter()
    dream = lucid.dream(
      frame,
      labels,
      rng,
      config,
      moving=moving,
      background=backgrounds[moving],
      size=size,
      targets=arguments.targets,
    )
    inpainting += inpainted - started
    dreaming += time.perf_counter() - inpainted
    dreams.append(dream)
  return dreams, (
    f'{len(dreams)} dreams of {1 + arguments.targets} frames, '
    f'{size[1]}x{size[0]}: {len(dreams) / dreaming:.1f} dreams/s, and '
    f'{inpainting:.2f} s to inpaint {len(backgrounds)} background(s)'
  )
