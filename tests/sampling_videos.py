"""Small videos whose frames tell their number, and samplers of them."""

import dataclasses
import hashlib
import pathlib

import cv2
import numpy as np

from savos_jax.data import lucid
from savos_jax.data import mask_noise
from savos_jax.data import sampling
from savos_jax.datasets import masks
from savos_jax.datasets import sequences

SIZE = (90, 160)
NO_NOISE = mask_noise.MaskNoise(
  shift=0.0, scale=(1.0, 1.0), spline=0.0, dilation=0, blur=0.0,
  drop_probability=0.0,
)  # fmt: skip
CLIPS = sampling.SamplingConfig(
  crop_size=(64, 96), zoom_range=(1.0, 2.0), clip_frames=3, max_skip=3,
  max_gap=2, noise=NO_NOISE, dream_fraction=0.0, dream_only_steps=0,
  lucid=lucid.LucidConfig(merge='feather'),
)  # fmt: skip
MIXED = dataclasses.replace(CLIPS, dream_fraction=0.5)
DREAMS = dataclasses.replace(CLIPS, dream_fraction=1.0)
_LENGTHS = {'long': 9, 'short': 3}


def draw_labels(number):
  """Two circles that move; a third object from frame 2 until frame 6."""
  labels = np.zeros(SIZE, np.uint8)
  cv2.circle(labels, (30 + 8 * number, 40), 14, 1, -1)
  cv2.circle(labels, (120 - 4 * number, 60), 10, 2, -1)
  if 2 <= number < 6:
    cv2.rectangle(labels, (4, 70), (24, 86), 3, -1)
  return labels


def draw_frame(labels, number):
  """Red is 10 * frame number, and 255 on object 3; green and blue: 1 and 2."""
  frame = np.zeros((*SIZE, 3), np.uint8)
  frame[..., 0] = 10 * number
  for object_id, channel in ((3, 0), (1, 1), (2, 2)):
    frame[labels == object_id, channel] = 255
  return frame


def open_video(folder, name, length, draw=draw_labels):
  """Opens a video, drawn if it is not there."""
  frames = [folder / name / f'{i:05d}.png' for i in range(length)]
  mask_files = [path.with_name(f'mask{path.name}') for path in frames]
  if not (folder / name).is_dir():
    (folder / name).mkdir()
    for number, (path, mask_file) in enumerate(
      zip(frames, mask_files, strict=True)
    ):
      labels = draw(number)
      cv2.imwrite(str(path), draw_frame(labels, number)[..., ::-1])
      masks.write_mask(mask_file, labels)
  return sequences.open_sequence(name, frames, mask_files)


def open_videos(folder):
  """Opens the two videos, drawn if they are not there."""
  return [open_video(folder, *item) for item in _LENGTHS.items()]


def one_frame(video, name='photo', number=0):
  """A record of one frame, as of a photo."""
  return dataclasses.replace(
    video,
    name=name,
    frames=video.frames[number : number + 1],
    masks=video.masks[number : number + 1],
  )


def make(videos, config=CLIPS, seed=0, examples_per_step=2, **rest):
  """A sampler."""
  return sampling.Sampler(videos, config, seed, examples_per_step, **rest)


def mixed_sampler(folder):
  """A sampler of everything that there is: clips, dreams, noise."""
  videos = open_videos(pathlib.Path(folder))
  noisy = dataclasses.replace(MIXED, noise=mask_noise.MaskNoise())
  # Three objects: what moves is drawn from a few sets.
  photo = one_frame(videos[0], number=3)
  return make(videos, noisy, seed=3, stills=[photo])


def digests(sampler, indices):
  """Maps index -> digest of all bytes of the example."""
  found = {}
  for index in indices:
    digest = hashlib.blake2b()
    for name, array in sorted(sampler.example(index).items()):
      digest.update(name.encode() + np.asarray(array).tobytes())
    found[index] = digest.hexdigest()
  return found


def save_photo(folder, name, number):
  """Writes frame `number` as a photo with its mask."""
  labels = draw_labels(number)
  (folder / 'images').mkdir(parents=True, exist_ok=True)
  cv2.imwrite(
    str(folder / 'images' / f'{name}.png'),
    draw_frame(labels, number)[..., ::-1],
  )
  masks.write_mask(folder / 'masks' / f'{name}.png', labels)
