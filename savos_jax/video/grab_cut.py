"""Masks from boxes and points, by OpenCV's GrabCut.

GrabCut (Rother et al., SIGGRAPH 2004) separates object and surroundings by
colour and cuts along edges. It runs on a shrunken window around the object, so
that large frames take no longer, and then at finer resolution along the outline
only.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

import cv2
import numpy as np

from savos_jax.foundation import errors
from savos_jax.video import prompts

# Longer side of the window, pixels: where the object is found, and where its
# outline is looked for.
_COARSE = 300
_SMALLEST = 200  # So large are small windows made.
_FINE = 900
_MARGIN = 0.4  # Of the window around a box, parts of the box' longer side.
# Of these views, pixels: GrabCut takes noise and texture for edges.
_BLUR = 1.0
_FINE_BLUR = 0.5
_ITERATIONS = 3
_BAND = 3  # Half of the strip that is looked at again, pixels.
_POINT = 0.012  # Radius of a point, parts of the window's diagonal.
_NEAR = 0.1  # Where the object is likely around a point, as `_POINT`.
# A mask that spans less of its box than this is a part of the object.
_SPAN = 0.5
# What to begin with: all of the box, then ellipses of these parts of it.
_BEGINS = (np.inf, 0.95, 0.7)
_FEWEST = 6  # Pixels; with less, k-means has no five clusters.
# Parts below this share of the largest are no part of the object; holes below
# this share of it are filled.
_STRAY = 0.2
_HOLE = 0.05
_SURELY_NOT, _SURELY, _HARDLY, _LIKELY = (
  cv2.GC_BGD,
  cv2.GC_FGD,
  cv2.GC_PR_BGD,
  cv2.GC_PR_FGD,
)


@dataclasses.dataclass(frozen=True)
class _View:
  """A window of a frame, at another size.

  Attributes:
    left: of the window in the frame, pixels; so are `top`, `right`, `bottom`.
    image: for GrabCut, uint8 [h, w, 3].
  """

  left: int
  top: int
  right: int
  bottom: int
  image: np.ndarray

  @property
  def shape(self) -> tuple[int, int]:
    return self.image.shape[0], self.image.shape[1]

  @property
  def scale(self) -> np.ndarray:
    """Pixels of the view a pixel of the frame, (x, y)."""
    height, width = self.shape
    sides = self.right - self.left, self.bottom - self.top
    return np.array([width, height]) / sides

  def box(self, box: prompts.Box) -> np.ndarray:
    """Returns a box of the frame in the view, float64 [4]."""
    corners = np.reshape(box, (2, 2)) - (self.left, self.top)
    return (corners * self.scale).ravel()

  def dots(
    self, points: Iterable[prompts.Point], radius: float = _POINT
  ) -> np.ndarray:
    """Returns disks around points of the frame, bool [h, w].

    Args:
      points: (x, y).
      radius: of a disk, parts of the view's diagonal.
    """
    drawn = np.zeros(self.shape, np.uint8)
    pixels = round(radius * float(np.hypot(*self.shape)))
    for point in points:
      centre = (np.array(point) + 0.5 - (self.left, self.top)) * self.scale
      x, y = (int(value) for value in centre)
      cv2.circle(drawn, (x, y), pixels, 1, cv2.FILLED)
    return drawn.view(bool)

  def of_frame(self, mask: np.ndarray) -> np.ndarray:
    """Returns a mask of the frame, bool [H, W], in the view."""
    part = mask[self.top : self.bottom, self.left : self.right]
    return _resized(part, self.shape)

  def to_frame(self, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a mask of the view in a frame of (height, width), bool."""
    whole = np.zeros(size, bool)
    shape = self.bottom - self.top, self.right - self.left
    whole[self.top : self.bottom, self.left : self.right] = _resized(
      mask, shape
    )
    return whole


def _resized(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  soft = mask.astype(np.float32)
  shrinks = shape[0] * shape[1] < mask.size
  how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  return cv2.resize(soft, shape[::-1], interpolation=how) > 0.5


def _view(
  frame: np.ndarray, box: prompts.Box | None, longest: int, blur: float
) -> _View:
  """Looks at a box and what is around it; at all of a frame without one.

  Args:
    frame: RGB uint8 [H, W, 3].
    box: see `prompts.Prompt`.
    longest: the view's longer side, pixels; small windows are enlarged to
      `_SMALLEST` at least.
    blur: standard deviation, pixels of the view.
  """
  height, width = frame.shape[:2]
  left, top, right, bottom = box or (0, 0, width, height)
  margin = max(1.0, _MARGIN * max(right - left, bottom - top))
  left, top = max(0, int(left - margin)), max(0, int(top - margin))
  right = min(width, int(np.ceil(right + margin)))
  bottom = min(height, int(np.ceil(bottom + margin)))
  part = frame[top:bottom, left:right]
  side = max(part.shape[:2])
  wanted = int(np.clip(side, _SMALLEST, longest))
  size = [
    max(1, round(n * wanted / side)) for n in (right - left, bottom - top)
  ]
  how = cv2.INTER_AREA if wanted < side else cv2.INTER_LINEAR
  image = cv2.resize(part, size, interpolation=how)
  image = cv2.GaussianBlur(image, (0, 0), blur)
  # Distances of colours as the eye sees them.
  image = cv2.cvtColor(image, cv2.COLOR_RGB2LUV)
  return _View(left, top, right, bottom, image)


def _cut(image: np.ndarray, trimap: np.ndarray, iterations: int) -> np.ndarray:
  """Runs GrabCut, bool [h, w].

  Args:
    image: uint8 [h, w, 3].
    trimap: uint8 [h, w] of OpenCV's GC_...
    iterations: 1 or more.
  """
  inside = (trimap == _SURELY) | (trimap == _LIKELY)
  few = min(np.count_nonzero(inside), np.count_nonzero(~inside))
  if few < _FEWEST:
    return inside
  cv2.setRNGSeed(0)  # Of this thread; k-means begins at random.
  mask = trimap.copy()
  background, object_ = np.zeros((1, 65)), np.zeros((1, 65))
  cv2.grabCut(
    image,
    mask,
    (0, 0, 0, 0),  # The mask tells.
    background,
    object_,
    iterations,
    cv2.GC_INIT_WITH_MASK,
  )
  return (mask == _SURELY) | (mask == _LIKELY)


def _box_begins(view: _View, box: prompts.Box) -> list[np.ndarray]:
  """Returns trimaps to begin with, see `_BEGINS`."""
  height, width = view.shape
  left, top, right, bottom = view.box(box)
  x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
  inside = (left < x) & (x < right) & (top < y) & (y < bottom)
  across = 2 * (x - (left + right) / 2) / (right - left)
  along = 2 * (y - (top + bottom) / 2) / (bottom - top)
  begins = []
  for radius in _BEGINS:
    likely = inside & (across**2 + along**2 <= radius**2)
    trimap = np.where(likely, _LIKELY, _HARDLY).astype(np.uint8)
    # A box that is all of the frame has no surroundings but its rim.
    trimap[~inside if not inside.all() else _rim(view.shape)] = _SURELY_NOT
    begins.append(trimap)
  return begins


def _belonging(mask: np.ndarray, dots: np.ndarray) -> np.ndarray:
  """Returns the parts that hold a point, or the large ones; holes filled.

  Args:
    mask: bool [h, w].
    dots: the points of the object, bool [h, w]; none, it may be.
  """
  count, parts, facts, _ = cv2.connectedComponentsWithStats(
    mask.astype(np.uint8)
  )
  if count < 2:
    return mask
  areas = facts[1:, cv2.CC_STAT_AREA]
  kept = np.unique(parts[dots & mask])
  if not kept.size:
    kept = np.flatnonzero(areas >= _STRAY * areas.max()) + 1
  return _filled(np.isin(parts, kept))


def _filled(mask: np.ndarray) -> np.ndarray:
  """Fills small holes."""
  # Along a row outside of the image all that is not a hole hangs together.
  background = np.pad((~mask).astype(np.uint8), 1, constant_values=1)
  _, parts, facts, _ = cv2.connectedComponentsWithStats(
    background, connectivity=4
  )
  areas = facts[:, cv2.CC_STAT_AREA]
  small = areas < _HOLE * np.count_nonzero(mask)
  small[[0, parts[0, 0]]] = False
  return mask | small[parts[1:-1, 1:-1]]


def _span(mask: np.ndarray, box: np.ndarray) -> float:
  """Returns how much of a box the bounding box of a mask covers, 0..1."""
  if not mask.any():
    return 0.0
  found = _bounds(mask)
  sides = np.minimum(found[2:], box[2:]) - np.maximum(found[:2], box[:2])
  return float(np.prod(np.maximum(sides, 0)) / np.prod(box[2:] - box[:2]))


def _bounds(mask: np.ndarray) -> np.ndarray:
  """Returns (left, top, right, bottom) of a mask that is not empty."""
  rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
  return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def _rim(shape: tuple[int, int]) -> np.ndarray:
  rim = np.ones(shape, bool)
  rim[1:-1, 1:-1] = False
  return rim


def _distance(dots: np.ndarray) -> np.ndarray:
  """Returns how far it is to a dot, pixels; without any, very far."""
  if not dots.any():
    return np.full(dots.shape, np.inf)
  return cv2.distanceTransform((~dots).astype(np.uint8), cv2.DIST_L2, 5)


def _with_points(
  view: _View, trimap: np.ndarray, prompt: prompts.Prompt, others
) -> np.ndarray:
  """Puts points into a trimap; near those outside, the object hardly is."""
  dots, not_it = view.dots(prompt.inside), view.dots(others)
  trimap = trimap.copy()
  near = view.dots(others, _near(others))
  near &= _distance(not_it) < _distance(dots)
  trimap[near & (trimap == _LIKELY)] = _HARDLY
  trimap[not_it], trimap[dots] = _SURELY_NOT, _SURELY
  return trimap


def _near(points: Sequence[prompts.Point]) -> float:
  """Returns how far around points their like is; as large for any number."""
  return _NEAR / max(1, len(points)) ** 0.5


def _in_box(
  view: _View, box: prompts.Box, prompt: prompts.Prompt, others
) -> np.ndarray:
  """Finds the object in a box; the first way that finds a large part of it."""
  dots, within = view.dots(prompt.inside), view.box(box)
  best = np.zeros(view.shape, bool)
  for begin in _box_begins(view, box):
    trimap = _with_points(view, begin, prompt, others)
    cut = _cut(view.image, trimap, _ITERATIONS)
    found = _belonging(cut, dots)
    if _span(found, within) > _span(best, within):
      best = found
    if _span(best, within) >= _SPAN:
      break
  return best


def _from_points(view: _View, prompt: prompts.Prompt, others) -> np.ndarray:
  """Finds the object around points; to begin with it is likely near them."""
  near = view.dots(prompt.inside, _near(prompt.inside))
  begin = np.where(near, _LIKELY, _HARDLY).astype(np.uint8)
  begin[_rim(view.shape) & ~near] = _SURELY_NOT
  trimap = _with_points(view, begin, prompt, others)
  cut = _cut(view.image, trimap, _ITERATIONS)
  return _belonging(cut, view.dots(prompt.inside))


def _refined(
  frame: np.ndarray, mask: np.ndarray, prompt: prompts.Prompt, others
) -> np.ndarray:
  """Looks at the outline again, on finer pixels."""
  view = _view(frame, tuple(_bounds(mask)), _FINE, _FINE_BLUR)
  begin = view.of_frame(mask).astype(np.uint8)
  band = cv2.getStructuringElement(
    cv2.MORPH_ELLIPSE, (2 * _BAND + 1, 2 * _BAND + 1)
  )
  inner, outer = cv2.erode(begin, band), cv2.dilate(begin, band)
  trimap = np.where(begin, _LIKELY, _HARDLY).astype(np.uint8)
  trimap[inner > 0], trimap[outer == 0] = _SURELY, _SURELY_NOT
  cut = _cut(view.image, trimap, 1)
  dots = view.dots(prompt.inside)
  return view.to_frame(_belonging(cut, dots), mask.shape)


def mask(frame: np.ndarray, prompt: prompts.Prompt, others=()) -> np.ndarray:
  """Segments one object in a frame.

  Args:
    frame: RGB uint8 [H, W, 3].
    prompt: the box or points of the object.
    others: points (x, y) of other objects.

  Returns:
    bool [H, W].

  Raises:
    SavosError: the prompt is outside the frame, or nothing was found.
  """
  size = frame.shape[:2]
  prompt.check(size)
  others = (*prompt.outside, *others)
  view = _view(frame, prompt.box, _COARSE, _BLUR)
  if prompt.box:
    seen = _in_box(view, prompt.box, prompt, others)
  else:
    seen = _from_points(view, prompt, others)
  found = view.to_frame(seen, size)
  if found.any():
    found = _refined(frame, found, prompt, others)
  if not found.any():
    where = (
      f'the box {prompts.shown(prompt.box)}' if prompt.box else 'the points'
    )
    raise errors.SavosError(
      f'nothing in {where} differs from its surroundings.\n'
      '  Expected an object distinguished by colour: give a tighter box, '
      'points, or draw the mask (--mask).'
    )
  return found


def labels(
  frame: np.ndarray, objects: Mapping[int, prompts.Prompt]
) -> np.ndarray:
  """Segments several objects in a frame.

  The points of each object count as outside for all others. Where two masks
  overlap, the smaller one wins: a small object lies in front, or would not be
  visible.

  Args:
    frame: RGB uint8 [H, W, 3].
    objects: id, 1..254 -> its box or points.

  Returns:
    uint8 [H, W], 0 = background.

  Raises:
    SavosError: as `mask`, with the number of the object; or an object is
      covered by smaller ones.
  """
  found = {}
  for object_id, prompt in objects.items():
    others = [
      point
      for other_id, other in objects.items()
      for point in other.inside
      if other_id != object_id
    ]
    try:
      found[object_id] = mask(frame, prompt, others)
    except errors.SavosError as error:
      raise errors.SavosError(f'object {object_id}: {error}') from None
  drawn = np.zeros(frame.shape[:2], np.uint8)
  for object_id in sorted(found, key=lambda key: -np.count_nonzero(found[key])):
    drawn[found[object_id]] = object_id
  for object_id in objects:
    if not (drawn == object_id).any():
      raise errors.SavosError(
        f'object {object_id}: other objects cover the place where it was '
        'found.\n'
        '  Expected a visible object: add points outside it, or draw the mask.'
      )
  return drawn
