"""Scenes of the embedded clips: objects that move over a background.

A scene is composed at random, then rendered frame by frame. Coordinates are
pixels of the supersampled canvas.
"""

from collections.abc import Iterator
import dataclasses

import cv2
import numpy as np

from savos_jax.data import warp
from savos_jax.synthetic import embedded_photos

# Square root of an object's share of the frame, by the number of objects.
_SIZES = {1: (0.28, 0.38), 2: (0.25, 0.33), 3: (0.22, 0.29)}
# Least share of the frame that an object shows in the first frame.
MIN_VISIBLE = 0.005
_NOISE = 2.0  # Standard deviation, grey levels.
# Frames are rendered this much larger and averaged: smooth edges.
_SUPERSAMPLING = 2
_ATTEMPTS = 20


def _wave(
  rng: np.random.Generator, frames: int, shape: tuple[int, ...] = ()
) -> np.ndarray:
  """Returns slow waves in -1..1, float64 [frames, *shape]."""
  period = rng.uniform(22, 45, shape)
  phase = rng.uniform(0, 2 * np.pi, shape)
  time = np.arange(frames).reshape(-1, *[1] * len(shape))
  return np.sin(2 * np.pi * time / period + phase)


def _swing(start: float, room: float, speed: float, frames: int) -> np.ndarray:
  """Returns a swing within -room..room, float64 [frames].

  Args:
    start: the first value, -room..room.
    room: amplitude, > 0.
    speed: the fastest change a frame, signed.
    frames: how many values.
  """
  phase = np.arcsin(np.clip(start / room, -1, 1))
  return room * np.sin(phase + speed / room * np.arange(frames))


def _tracks(
  cut_out: np.ndarray,
  slot: float,
  size: tuple[int, int],
  frames: int,
  rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """Lets an object move: where a grid of its points is in each frame.

  Args:
    cut_out: float32 [h, w, 4].
    slot: where it starts, -1 (left) .. 1 (right).
    size: (height, width) of the canvas.
    frames: length of the clip.
    rng: decides the motion.

  Returns:
    (points in the cut-out, float64 [9, 2]; the same points on the canvas in
    each frame, float64 [frames, 9, 2]).
  """
  height, width = cut_out.shape[:2]
  side = float(np.sqrt(cut_out[..., 3].sum()))
  grid = np.meshgrid(np.linspace(0, width, 3), np.linspace(0, height, 3))
  points = np.stack(grid, axis=-1).reshape(-1, 2)
  middle = np.array([width, height]) / 2

  # Half the canvas less most of half the object: it mostly stays in the frame.
  room = np.array(size[::-1]) / 2 - 0.42 * np.array([width, height])
  room = np.maximum(room, 0.12 * side)
  start = room * np.clip([slot, rng.uniform(-0.7, 0.7)], -0.85, 0.85)
  # Towards the far side, so that the object travels and meets the others.
  inwards = np.where(start > 0, -1, 1)
  # A thin object crosses its own width at a lower speed.
  pace = np.sqrt(side * min(side, width, height))
  speed = pace * inwards * [rng.uniform(0.05, 0.075), rng.uniform(0.01, 0.03)]
  center = np.array(size[::-1]) / 2 + np.stack(
    [
      _swing(*values, frames) for values in zip(start, room, speed, strict=True)
    ],
    axis=1,
  )
  angle = rng.uniform(-8, 8) + rng.uniform(6, 16) * _wave(rng, frames)
  scale = np.exp(rng.uniform(0.05, 0.12) * _wave(rng, frames))
  bends = rng.uniform(0.03, 0.055) * side * _wave(rng, frames, points.shape)

  targets = np.empty((frames, *points.shape))
  for t in range(frames):
    matrix = warp.affine_matrix(middle, scale[t], angle[t], center[t] - middle)
    targets[t] = (points + bends[t]) @ matrix[:, :2].T + matrix[:, 2]
  return points, targets


def _view(
  photo: np.ndarray,
  size: tuple[int, int],
  frames: int,
  rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """Lets the camera pan over a photograph, zoom and turn a little.

  Args:
    photo: float32 [H, W, 3].
    size: (height, width) of the canvas.
    frames: length of the clip.
    rng: decides the motion.

  Returns:
    (the photograph at about the canvas' resolution, float32 [h, w, 3]; forward
    matrices to the canvas, float64 [frames, 2, 3], that never show what lies
    beyond the photograph).
  """
  canvas = np.array(size[::-1], np.float64)
  most = np.deg2rad(3.0)
  angle = most * rng.uniform(0.3, 1) * _wave(rng, frames)
  zoom = np.exp(0.05 * (_wave(rng, frames) + 1))  # From 1 to 1.1.
  # What the canvas takes up, turned as far as it ever is.
  turned = np.cos(most) * canvas + np.sin(most) * canvas[::-1]
  # Canvas pixels a pixel of the photograph: so that the widest view takes up
  # this share of the photograph on the narrower side.
  scale = np.max(turned / photo.shape[1::-1]) / rng.uniform(0.7, 0.85)
  if scale < 1:
    shape = tuple(int(n) for n in np.ceil(scale * np.array(photo.shape[1::-1])))
    photo = cv2.resize(photo, shape, interpolation=cv2.INTER_AREA)
    scale = 1.0
  last = np.array(photo.shape[1::-1], np.float64) - 1
  room = (last - turned / scale) / 2
  speed = rng.choice([-1, 1], 2) * rng.uniform(0.003, 0.01, 2) * canvas / scale
  start = rng.uniform(-0.7, 0.7, 2) * room
  middle = last / 2 + np.stack(
    [_swing(start[i], room[i], speed[i], frames) for i in range(2)], axis=1
  )
  matrices = [
    warp.affine_matrix(
      middle[t],
      scale * zoom[t],
      np.rad2deg(angle[t]),
      (canvas - 1) / 2 - middle[t],
    )
    for t in range(frames)
  ]
  return photo, np.stack(matrices)


@dataclasses.dataclass(frozen=True)
class _Scene:
  """One clip before it is rendered.

  Attributes:
    background: float32 [h, w, 3].
    views: forward matrices of the background, float64 [T, 2, 3].
    layers: the objects' cut-outs, float32 [h, w, 4]; later ones are nearer.
    points: grid of points in each cut-out, float64 [9, 2].
    targets: the same points on the canvas, float64 [T, 9, 2].
    lights: factor on the colours, float64 [T, 3].
  """

  background: np.ndarray
  views: np.ndarray
  layers: list[np.ndarray]
  points: list[np.ndarray]
  targets: list[np.ndarray]
  lights: np.ndarray


def _scene(
  split: str,
  cast: list[str],
  size: tuple[int, int],
  frames: int,
  rng: np.random.Generator,
) -> _Scene:
  """Draws a clip's background, objects and motions; `size` is the canvas'."""
  photos = {embedded_photos.OBJECTS[split][name] for name in cast}
  # An object does not come twice: not on its own photograph.
  grounds = {
    name: box
    for name, box in embedded_photos.BACKGROUNDS[split].items()
    if name not in photos
  }
  ground = list(grounds)[rng.integers(len(grounds))]
  background, views = _view(
    embedded_photos.background(ground, grounds[ground], rng), size, frames, rng
  )
  spread = 0.75 if len(cast) > 1 else 0.5
  slots = np.linspace(-spread, spread, max(len(cast), 2))[: len(cast)]
  slots = rng.permutation(slots) + rng.uniform(-0.1, 0.1, len(cast))
  layers, points, targets = [], [], []
  for name, slot in zip(cast, slots, strict=True):
    side = rng.uniform(*_SIZES[len(cast)]) * np.sqrt(size[0] * size[1])
    photo = embedded_photos.OBJECTS[split][name]
    layers.append(
      embedded_photos.cut_out(name, photo, side, 0.8 * size[0], rng)
    )
    grid, moved = _tracks(layers[-1], slot, size, frames, rng)
    points.append(grid)
    targets.append(moved)
  lights = 1 + 0.1 * _wave(rng, frames, (1,)) + 0.03 * _wave(rng, frames, (3,))
  return _Scene(background, views, layers, points, targets, lights)


def _render(
  scene: _Scene, t: int, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Renders frame `t`.

  Args:
    scene: the clip.
    t: which frame.
    size: (height, width) of the canvas, multiples of the supersampling.

  Returns:
    (colours without noise, float32 [H, W, 3]; labels, uint8 [H, W]; share of
    the frame that each object would cover alone, float64 [K]).
  """
  canvas = warp.warp_image(scene.background, scene.views[t], size)
  # How much of each canvas pixel shows each object.
  covers: list[np.ndarray] = []
  alone = []
  for layer, points, targets in zip(
    scene.layers, scene.points, scene.targets, strict=True
  ):
    grid = warp.thin_plate_spline_map(points, targets[t], *size)
    moved = warp.warp_image(layer, grid, border='constant')
    opacity = moved[..., 3]
    clear = 1 - opacity
    canvas = canvas * clear[..., None] + moved[..., :3]
    covers = [cover * clear for cover in covers] + [opacity]
    alone.append(float(opacity.mean()))
  small = (size[1] // _SUPERSAMPLING, size[0] // _SUPERSAMPLING)
  canvas, *covers = (
    cv2.resize(plane, small, interpolation=cv2.INTER_AREA)
    for plane in [canvas, *covers]
  )
  # A pixel belongs to what covers most of it; with one object, over a half.
  rest = 1 - np.sum(covers, axis=0)
  labels = np.argmax([rest, *covers], axis=0).astype(np.uint8)
  return canvas * np.float32(scene.lights[t]), labels, np.array(alone)


def _visible(labels: np.ndarray, count: int) -> np.ndarray:
  """Returns the share of the frame that shows each object, float64 [count]."""
  return np.bincount(labels.ravel(), minlength=count + 1)[1:] / labels.size


def render_clip(
  split: str,
  cast: list[str],
  size: tuple[int, int],
  frames: int,
  rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Composes a clip and renders it.

  Args:
    split: 'train' or 'val'.
    cast: names of cut-outs of that split, of different photographs.
    size: (height, width) of the frames.
    frames: how many.
    rng: determines everything else.

  Yields:
    (frame, RGB uint8 [H, W, 3]; labels, uint8 [H, W], object k of the cast
    being id k + 1).
  """
  canvas = size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING
  best = -1.0
  for _ in range(_ATTEMPTS):
    draft = _scene(split, cast, canvas, frames, rng)
    _, labels, alone = _render(draft, 0, canvas)
    # The first mask defines the object: it must show enough of each.
    shares = _visible(labels, len(cast))
    quality = float(np.min(shares / np.maximum(0.6 * alone, MIN_VISIBLE)))
    if quality > best:
      best, scene = quality, draft
    if best >= 1:
      break
  for t in range(frames):
    image, labels, _ = _render(scene, t, canvas)
    image += rng.normal(0.0, _NOISE, image.shape)
    yield np.clip(np.rint(image), 0, 255).astype(np.uint8), labels
