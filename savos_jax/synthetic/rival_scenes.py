"""Scenes of the rival clips: look-alikes that cross before a moving camera.

A scene is one photo, seen by a camera that pans, zooms and rotates, with layers
over it: cut-outs of other photos that travel, rotate, scale and bend. Motions
are sampled until the scene is a fair test, see `fairness`; then it is rendered.

Coordinates are (x, y) in pixels of the frame, see warp.py. The frames are
rendered larger by `_SUPERSAMPLING` and averaged, for smooth edges.
"""

from collections.abc import Iterator
import dataclasses

import cv2
import numpy as np

from savos_jax.data import warp

# Least share of the frame that each object shows in the first frame.
MIN_VISIBLE = 0.005
# An object counts as hidden where it shows less than this share of what it
# shows in the first frame.
HIDDEN = 0.02
# An object's scale stays within these factors of its first size.
SCALES = (0.7, 1.4)

_SUPERSAMPLING = 2
_NOISE = 1.5  # Standard deviation, grey levels.
_MAX_TURN = 4.0  # Of the camera, degrees.
_MAX_ENLARGED = 2.0  # Cut-outs are not enlarged by more than that.
# Scenes are checked at this height, pixels; rendered ones differ by little.
_CHECK_HEIGHT = 84
# Root of an object's share of the frame, by the number of objects.
_SIDES = {1: (0.24, 0.34), 2: (0.24, 0.34), 3: (0.21, 0.3), 4: (0.18, 0.26)}


@dataclasses.dataclass(frozen=True)
class Script:
  """The events required in a clip.

  Attributes:
    event: 'crossing'; 'leaves': an object also leaves the frame and returns; or
      'hidden': one of those that cross is fully occluded.
    distractors: number of cut-outs, not to be segmented, that enter later.
  """

  event: str
  distractors: int


@dataclasses.dataclass(frozen=True)
class Layer:
  """A cut-out and its path through the clip.

  Attributes:
    picture: float32 [h, w, 4], RGB 0..255 times alpha, then alpha 0..1.
    object_id: from 1, or 0 for a distractor.
    points: a grid of its points, float64 [9, 2], pixels of `picture`.
    targets: where they are in each frame, float64 [T, 9, 2].
  """

  picture: np.ndarray
  object_id: int
  points: np.ndarray
  targets: np.ndarray


@dataclasses.dataclass(frozen=True)
class Scene:
  """One clip before it is rendered.

  Attributes:
    size: (height, width) of the frames.
    background: float32 [h, w, 3], RGB 0..255.
    own: the background's own objects with ids 1..M, float32 [h, w, M], 0..1.
    views: forward matrices of the background, float64 [T, 2, 3].
    layers: from far to near.
    lights: factors on the colours, float64 [T, 3].
    pair: ids of the two objects that cross.
  """

  size: tuple[int, int]
  background: np.ndarray
  own: np.ndarray
  views: np.ndarray
  layers: tuple[Layer, ...]
  lights: np.ndarray
  pair: tuple[int, int]


def _wave(rng, frames: int, shape: tuple[int, ...] = ()) -> np.ndarray:
  """Returns slow waves in -1..1, float64 [frames, *shape]."""
  period = rng.uniform(22, 45, shape)
  phase = rng.uniform(0, 2 * np.pi, shape)
  time = np.arange(frames).reshape(-1, *[1] * len(shape))
  return np.sin(2 * np.pi * time / period + phase)


def _eased(frames: int, start: float, stop: float) -> np.ndarray:
  """Goes from 0 to 1 between two times of the clip (0..1), float64 [frames].

  Starts and ends without a jerk.
  """
  time = np.linspace(0, 1, frames)
  share = np.clip((time - start) / (stop - start), 0, 1)
  return share * share * (3 - 2 * share)


def _resized(image: np.ndarray, scale: float) -> np.ndarray:
  """Scales an image; averages areas where it shrinks."""
  size = [max(2, round(n * scale)) for n in image.shape[1::-1]]
  method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
  return cv2.resize(image, size, interpolation=method)


def _alpha(mask: np.ndarray, scale: float) -> np.ndarray:
  """Scales a mask to an alpha with soft edges that keeps a bit inside of it.

  A mask's outermost pixels hold some of what is behind the object: they would
  be a bright or dark seam before another background.

  Args:
    mask: bool [h, w].
    scale: factor.

  Returns:
    float32 [h', w'], 0..1.
  """
  # Blurred at first, so that enlarging makes no stairs of the mask's pixels.
  blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.9)
  return np.clip((_resized(blurred, scale) - 0.5) / 0.4, 0, 1)


def cut_out(photo: np.ndarray, mask: np.ndarray, side: float) -> np.ndarray:
  """Cuts an object out and scales it.

  Args:
    photo: RGB uint8 [h, w, 3].
    mask: bool [h, w], not empty.
    side: square root of its area when rendered at scale 1, pixels of the frame.

  Returns:
    A layer's picture, float32 [h', w', 4], finer than the frame by the
    supersampling and the largest scale, but where that would enlarge the
    photo a lot.
  """
  x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
  mask = np.pad(mask[y : y + height, x : x + width], 3)
  photo = np.pad(
    photo[y : y + height, x : x + width].astype(np.float32),
    ((3, 3), (3, 3), (0, 0)),
    'edge',
  )
  scale = _SUPERSAMPLING * SCALES[1] * side / np.sqrt(mask.sum())
  scale = min(scale, _SUPERSAMPLING * _MAX_ENLARGED)
  alpha = _alpha(mask, scale)[..., None]
  return np.concatenate(
    [np.clip(_resized(photo, scale), 0, 255) * alpha, alpha], axis=-1
  )


def _target_side(mask: np.ndarray, size, count: int, rng) -> float:
  """Draws how large an object is to be: root of its area, pixels."""
  side = rng.uniform(*_SIDES[min(count, 4)]) * np.sqrt(size[0] * size[1])
  root = np.sqrt(mask.sum())
  _, _, width, height = cv2.boundingRect(mask.astype(np.uint8))
  # A tall or wide one has to fit into the frame.
  fitting = root * min(0.72 * size[0] / height, 0.5 * size[1] / width)
  return min(side, fitting, _MAX_ENLARGED / SCALES[1] * root)


def camera(
  photo: np.ndarray,
  masks: list[np.ndarray],
  size: tuple[int, int],
  frames: int,
  rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Pans a camera over a photo, with slight zoom and rotation.

  It never shows anything outside the photo, which is enlarged if necessary.

  Args:
    photo: RGB uint8 [h, w, 3].
    masks: of objects in it, bool [h, w] each; the view keeps near them.
    size: (height, width) of the frames.
    frames: length of the clip.
    rng: determines the motion.

  Returns:
    (photo at about the resolution of the rendering, float32 [h', w', 3]; the
    objects' alphas, float32 [h', w', M]; forward matrices to the frame,
    float64 [T, 2, 3]).
  """
  frame = np.array(size[::-1], np.float64)
  turn = np.deg2rad(_MAX_TURN) * rng.uniform(0.2, 1) * _wave(rng, frames)
  zoom = np.exp(rng.uniform(0.02, 0.08) * (_wave(rng, frames) + 1))
  # What the frame takes up of the photo, turned as far as it ever is.
  most = np.abs(turn).max()
  turned = np.cos(most) * frame + np.sin(most) * frame[::-1] + 2
  scale = np.max(turned / photo.shape[1::-1]) / rng.uniform(0.75, 0.88)
  factor = scale * _SUPERSAMPLING
  alphas = [_alpha(mask, factor) for mask in masks]
  picture = np.clip(_resized(photo.astype(np.float32), factor), 0, 255)
  shape = np.array(picture.shape[1::-1], np.float64)

  # From here on in pixels of `picture`; the factor to the frame is this.
  shrink = 1 / _SUPERSAMPLING
  room = np.maximum((shape - 1 - turned / shrink) / 2, 0)
  middle = (shape - 1) / 2
  if masks:
    columns = np.argwhere(np.max(alphas, axis=0) > 0.5)[:, ::-1]
    aim = (columns.min(axis=0) + columns.max(axis=0)) / 2
    # Where the photo is cropped, its objects are the better part of it.
    middle = middle + np.clip(aim - middle, -0.6 * room, 0.6 * room)
  reach = room - np.abs(middle - (shape - 1) / 2)
  travel = rng.choice([-1, 1], 2) * rng.uniform(0.3, 0.95, 2) * reach
  travel = np.clip(travel, *(np.array([[-1], [1]]) * 0.12 * frame / shrink))
  path = middle + travel * (2 * _eased(frames, -0.2, 1.2)[:, None] - 1)
  views = np.stack(
    [
      warp.affine_matrix(
        path[t],
        shrink * zoom[t],
        np.rad2deg(turn[t]),
        (frame - 1) / 2 - path[t],
      )
      for t in range(frames)
    ]
  )
  own = np.dstack(alphas) if masks else np.zeros((*picture.shape[:2], 0))
  return picture, own.astype(np.float32), views


def _grid(picture: np.ndarray) -> np.ndarray:
  """Returns 3x3 points of a picture, float64 [9, 2]."""
  height, width = picture.shape[:2]
  grid = np.meshgrid(
    np.linspace(0, width - 1, 3), np.linspace(0, height - 1, 3)
  )
  return np.stack(grid, axis=-1).reshape(-1, 2)


def _targets(
  picture: np.ndarray,
  side: float,
  path: np.ndarray,
  rng: np.random.Generator,
) -> np.ndarray:
  """Lets a cut-out turn, grow and bend along its way.

  Args:
    picture: float32 [h, w, 4].
    side: root of its area in the frame, pixels.
    path: of its middle, float64 [T, 2].
    rng: decides the motion.

  Returns:
    Where the points of `_grid` are, float64 [T, 9, 2].
  """
  frames, points = len(path), _grid(picture)
  shrink = side / np.sqrt(picture[..., 3].sum())
  middle = np.array(picture.shape[1::-1], np.float64) / 2 - 0.5
  angle = rng.uniform(-6, 6) + rng.uniform(3, 14) * _wave(rng, frames)
  low, high = np.log(SCALES)
  growth = rng.uniform(0.05, 0.22) * _wave(rng, frames)
  growth = np.exp(np.clip(growth - growth[0], low, high))
  bends = _wave(rng, frames, points.shape) * rng.uniform(0.02, 0.045)
  bends *= np.sqrt(picture[..., 3].sum())
  return np.stack(
    [
      warp.apply(
        warp.affine_matrix(
          middle, shrink * growth[t], angle[t], path[t] - middle
        ),
        points + bends[t],
      )
      for t in range(frames)
    ]
  )


def _extent(picture: np.ndarray, side: float) -> np.ndarray:
  """Returns (width, height) that a cut-out has in the frame."""
  root = np.sqrt(picture[..., 3].sum())
  return np.array(picture.shape[1::-1]) * side / root


def _starts(extents: list[np.ndarray], size, rng) -> np.ndarray:
  """Places objects side by side, float64 [N, 2]: their middles."""
  count = len(extents)
  height, width = size
  slots = (np.arange(count) + 0.5) / count
  slots += rng.uniform(-0.12, 0.12, count) / count
  x = rng.permutation(slots) * width
  # With their feet in the lower part: that looks least like flying.
  feet = rng.uniform(0.68, 0.97, count) * height
  y = feet - np.array([extent[1] for extent in extents]) / 2
  return np.stack([x, np.maximum(y, 0.25 * height)], axis=1)


def _stroll(start: np.ndarray, size, frames: int, rng) -> np.ndarray:
  """Lets an object wander to somewhere near, float64 [T, 2]."""
  frame = np.array(size[::-1], np.float64)
  inwards = np.where(start > frame / 2, -1, 1) * [1, rng.choice([-1, 1])]
  way = inwards * rng.uniform([0.05, 0.0], [0.25, 0.08]) * frame
  return start + way * _eased(frames, -0.1, 1.1)[:, None]


def _leave(start, extent, size, frames: int, rng) -> np.ndarray:
  """Lets an object leave by the nearer side and come back, float64 [T, 2]."""
  width = size[1]
  # Half of what it takes up, turned and grown.
  half = 0.75 * max(extent[0], 0.6 * extent[1])
  away = start.copy()
  away[0] = -half if start[0] < width / 2 else width + half
  begin = rng.uniform(0.02, 0.12)
  gone = begin + rng.uniform(0.32, 0.38)
  back = gone + rng.uniform(0.1, 0.16)
  share = _eased(frames, begin, gone) - _eased(frames, back, 0.98)
  return start + (away - start) * share[:, None]


def _come_in(extent, size, frames: int, rng) -> np.ndarray:
  """Lets an object come in from a side, later, float64 [T, 2]."""
  height, width = size
  half = 0.75 * max(extent[0], 0.6 * extent[1])
  left = rng.random() < 0.5
  y = rng.uniform(0.68, 0.97) * height - extent[1] / 2
  start = np.array([-half if left else width + half, y])
  inside = rng.uniform(0.25, 0.6) * width
  stop = np.array([inside if left else width - inside, y])
  stop[1] += rng.uniform(-0.08, 0.08) * height
  begin = rng.uniform(0.15, 0.35)
  share = _eased(frames, begin, rng.uniform(0.85, 1.1))
  return start + (stop - start) * share[:, None]


def _sways(size, frames: int, rng) -> np.ndarray:
  """A bit of unrest for a path, float64 [T, 2]; none in the first frame."""
  wave = _wave(rng, frames, (2,)) * rng.uniform(0.005, 0.02) * size[0]
  return wave - wave[0]


def _own_path(own: np.ndarray, views: np.ndarray, k: int) -> np.ndarray:
  """Returns where an object of the background is, float64 [T, 2]."""
  rows, columns = np.nonzero(own[..., k] > 0.5)
  middle = np.array([[columns.mean(), rows.mean()]])
  return np.stack([warp.apply(view, middle)[0] for view in views])


def _meeting(rng) -> tuple[float, float]:
  """Draws when two that cross set out and arrive, 0..1 of the clip."""
  return rng.uniform(0.0, 0.15), rng.uniform(0.75, 1.0)


def draw(
  photo: np.ndarray,
  own: list[np.ndarray],
  cast: list[tuple[np.ndarray, np.ndarray]],
  script: Script,
  size: tuple[int, int],
  frames: int,
  rng: np.random.Generator,
) -> Scene:
  """Samples a scene, without checking that it is a fair test.

  Args:
    photo: the background, RGB uint8 [h, w, 3].
    own: masks of its objects that are to be segmented, bool [h, w] each.
    cast: photo and mask, of any size, of each cut-out; the last
      `script.distractors` are not to be segmented. At least one is; two,
      without `own`.
    script: the required events.
    size: (height, width) of the frames.
    frames: length of the clip.
    rng: determines everything.

  Returns:
    The scene. The objects of the background have ids 1.., then the cast's.
  """
  picture, alphas, views = camera(photo, own, size, frames, rng)
  pasted = len(cast) - script.distractors
  count = pasted + len(own)
  sides = [_target_side(mask, size, count, rng) for _, mask in cast]
  if pasted < 2:
    pair = (0, None)
  else:
    # The first of the pair is the nearer one.
    pair = tuple(rng.permutation(pasted)[:2].tolist())
    if script.event == 'hidden':
      sides[pair[0]] *= 1.25
      sides[pair[1]] = 0.45 * sides[pair[0]]
  pictures = [
    cut_out(image, mask, side)
    for (image, mask), side in zip(cast, sides, strict=True)
  ]
  extents = [
    _extent(cut, side) for cut, side in zip(pictures, sides, strict=True)
  ]
  starts = _starts(extents[:pasted], size, rng)
  paths = [
    _stroll(start, size, frames, rng) + _sways(size, frames, rng)
    for start in starts
  ]
  share = _eased(frames, *_meeting(rng))[:, None]
  front, behind = pair
  if behind is None:
    meets = _own_path(alphas, views, int(rng.integers(len(own))))
    # To the other side of it, as far as it was on this one.
    paths[front] += share * 2 * (meets.mean(axis=0) - starts[front])
    crossing = (1 + len(own) + front, 1)
  else:
    for one, other in (pair, pair[::-1]):
      way = starts[other] - starts[one]
      paths[one] = starts[one] + way * share + _sways(size, frames, rng)
    crossing = tuple(1 + len(own) + k for k in pair)
  if script.event == 'leaves':
    free = [k for k in range(pasted) if k not in pair] or [front]
    leaver = free[rng.integers(len(free))]
    paths[leaver] = _leave(
      starts[leaver], extents[leaver], size, frames, rng
    ) + _sways(size, frames, rng)
  paths += [_come_in(e, size, frames, rng) for e in extents[pasted:]]

  layers = [
    Layer(
      picture=cut * rng.uniform([0.92] * 3 + [1], [1.0] * 3 + [1]).astype('f'),
      object_id=1 + len(own) + k if k < pasted else 0,
      points=_grid(cut),
      targets=_targets(cut, sides[k], paths[k], rng),
    )
    for k, cut in enumerate(pictures)
  ]
  depth = rng.permutation(len(layers)).tolist()
  if behind is not None and depth.index(front) < depth.index(behind):
    i, j = depth.index(front), depth.index(behind)
    depth[i], depth[j] = depth[j], depth[i]
  lights = 1 + rng.uniform(0.02, 0.08) * _wave(rng, frames)[:, None]
  lights = lights * (1 + 0.02 * _wave(rng, frames, (3,)))
  return Scene(
    size=size,
    background=picture,
    own=alphas,
    views=views,
    layers=tuple(layers[k] for k in depth),
    lights=lights,
    pair=crossing,
  )


def _scaled(points: np.ndarray, factor: float) -> np.ndarray:
  """Carries points to a canvas that is finer by a factor."""
  return (points + 0.5) * factor - 0.5


def _scaled_view(view: np.ndarray, factor: float) -> np.ndarray:
  """Makes a matrix lead to a canvas that is finer by a factor."""
  scaled = view * factor
  scaled[:, 2] += 0.5 * factor - 0.5
  return scaled


def _warped(layer: Layer, image: np.ndarray, t: int, factor: float, canvas):
  """Warps a layer's picture, or part of it, to the canvas."""
  grid = warp.thin_plate_spline_map(
    layer.points, _scaled(layer.targets[t], factor), *canvas
  )
  return warp.warp_image(image, grid, border='constant', value=(0, 0, 0, 0))


def coverage(scene: Scene) -> tuple[np.ndarray, np.ndarray, list[int]]:
  """Computes roughly where everything in a scene is.

  Returns:
    (what each object covers, whatever is before it, float32 [T, N, h, w],
    0..1; what is seen of it, of the same shape; the objects' ids, N: from far
    to near, 0 for those that are not to be segmented).
  """
  factor = _CHECK_HEIGHT / scene.size[0]
  height, width = (max(1, round(n * factor)) for n in scene.size)
  canvas = height, width
  # Averaged as when rendered, so that thin parts aren't missed.
  small = _SUPERSAMPLING * factor
  layers = [
    dataclasses.replace(
      layer,
      picture=_resized(layer.picture[..., 3], small),
      points=_scaled(layer.points, small),
    )
    for layer in scene.layers
  ]
  own = _resized(scene.own, small) if scene.own.shape[2] else scene.own
  own = own.reshape(*own.shape[:2], scene.own.shape[2])
  covers = []
  for t, view in enumerate(scene.views):
    # Seen from `own`, which is coarser than what `view` leads from.
    matrix = _scaled_view(view, factor)
    matrix[:, 2] = warp.apply(
      matrix, np.array([_scaled(np.zeros(2), 1 / small)])
    )[0]
    matrix[:, :2] /= small
    covers.append(
      [
        warp.warp_image(
          np.ascontiguousarray(own[..., k]), matrix, canvas, 'constant'
        )
        for k in range(own.shape[2])
      ]
      + [_warped(layer, layer.picture, t, factor, canvas) for layer in layers]
    )
  covers = np.clip(np.array(covers, np.float32), 0, 1)
  free = np.cumprod(1 - covers[:, ::-1], axis=1)[:, ::-1]
  seen = covers * np.concatenate(
    [free[:, 1:], np.ones_like(free[:, :1])], axis=1
  )
  ids = [k + 1 for k in range(own.shape[2])]
  return covers, seen, ids + [layer.object_id for layer in layers]


def _comes_back(visible: np.ndarray) -> bool:
  """Whether something is gone for two frames or more, and seen afterwards.

  Args:
    visible: share of the frame, float [T].
  """
  gone = np.flatnonzero(visible < HIDDEN * visible[0])
  return len(gone) >= 2 and bool(
    np.sum(visible[gone[-1] :] > 0.3 * visible[0]) >= 2
  )


def fairness(scene: Scene, script: Script) -> str | None:
  """Says why a scene is not a fair test.

  In a fair test every object is clearly visible in the first frame, none is
  absent for long, two cross so that one occludes much of the other, and the
  script's events happen.

  Returns:
    The reason, or None.
  """
  covers, seen, ids = coverage(scene)
  full, visible = covers.mean(axis=(2, 3)), seen.mean(axis=(2, 3))
  objects = [k for k, i in enumerate(ids) if i]
  first = visible[0, objects]
  if first.min() < 1.6 * MIN_VISIBLE:
    return 'an object is too small in the first frame'
  if np.any(first < 0.7 * full[0, objects]):
    return 'an object is covered in the first frame'
  missing = visible[:, objects] < 0.15 * first
  if missing.mean(axis=0).max() > 0.4:
    return 'an object is missing for long'
  if script.event == 'crossing' and missing[-2:].any():
    return 'an object is missing at the end'
  one, other = (covers[:, ids.index(i)] for i in scene.pair)
  both = np.minimum(one, other).mean(axis=(1, 2))
  smaller = np.maximum(
    np.minimum(one.mean(axis=(1, 2)), other.mean(axis=(1, 2))), 1e-6
  )
  overlap = both / smaller
  if overlap[0] > 0.1 or overlap[-1] > 0.35 or overlap.max() < 0.35:
    return 'nothing crosses'
  back = [_comes_back(visible[:, k]) for k in objects]
  if script.event != 'crossing' and not any(back):
    return 'nothing comes back'
  for k, object_id in enumerate(ids):
    late = object_id == 0
    if late and (
      visible[0, k] > 1e-4 or visible[:, k].max() < 1.6 * MIN_VISIBLE
    ):
      return 'a distractor does not come in later'
  return None


def render(
  scene: Scene, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Renders a scene, frame by frame.

  Args:
    scene: the scene.
    rng: determines the noise.

  Yields:
    (RGB uint8 [H, W, 3], labels uint8 [H, W]).
  """
  factor = _SUPERSAMPLING
  height, width = scene.size
  canvas, small = (factor * height, factor * width), (width, height)
  own_count = scene.own.shape[2]
  for t, view in enumerate(scene.views):
    matrix = _scaled_view(view, factor)
    image = warp.warp_image(scene.background, matrix, canvas)
    # Share of each pixel that an id has, over the ids: 0 is the rest.
    shares = {0: np.ones(canvas, np.float32)}
    for k in range(own_count):
      alpha = warp.warp_image(
        np.ascontiguousarray(scene.own[..., k]), matrix, canvas, 'constant'
      )
      # Objects of one photo don't overlap.
      shares[k + 1] = alpha
      shares[0] = np.maximum(shares[0] - alpha, 0)
    for layer in scene.layers:
      warped = _warped(layer, layer.picture, t, factor, canvas)
      alpha = warped[..., 3]
      image = image * (1 - alpha[..., None]) + warped[..., :3]
      for i in shares:
        shares[i] *= 1 - alpha
      shares[layer.object_id] = shares.get(layer.object_id, 0) + alpha
    image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    image = image * scene.lights[t] + rng.normal(0, _NOISE, image.shape)
    ids = sorted(shares)
    stack = [
      cv2.resize(shares[i], small, interpolation=cv2.INTER_AREA) for i in ids
    ]
    labels = np.array(ids, np.uint8)[np.argmax(stack, axis=0)]
    yield np.clip(np.rint(image), 0, 255).astype(np.uint8), labels
