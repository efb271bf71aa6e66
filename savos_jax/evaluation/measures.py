"""The measures of DAVIS: region similarity J, boundary accuracy F.

Perazzi et al., "A benchmark dataset and evaluation methodology for video object
segmentation", CVPR 2016, sections 5.1 and 5.2; details that affect the third
decimal follow the official code (davis2017-evaluation).
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

# Tolerance of F as a share of the image diagonal, in the official code.
BOUND = 0.008
_DECAY_BINS = 4
_RECALL_THRESHOLD = 0.5


class Statistics(NamedTuple):
  """Summary of the values of one measure over a sequence.

  Attributes:
    mean: mean over frames.
    recall: share of frames above 0.5.
    decay: mean of the first quarter minus mean of the last.
  """

  mean: float
  recall: float
  decay: float


def _as_masks(
  prediction: np.ndarray, truth: np.ndarray, void: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
  """Returns both as bool [H, W], void pixels as background."""
  if prediction.ndim != 2 or prediction.shape != truth.shape:
    raise ValueError(
      f'prediction {prediction.shape} and truth {truth.shape}: '
      'expected two masks [H, W] of one size'
    )
  # Fresh memory costs more than the sums below: no copy without a need.
  prediction = prediction.astype(bool, copy=False)
  truth = truth.astype(bool, copy=False)
  if void is None:
    return prediction, truth
  if void.shape != truth.shape:
    raise ValueError(
      f'void {void.shape}: expected the size of the masks, {truth.shape}'
    )
  kept = ~void.astype(bool)
  return prediction & kept, truth & kept


def region_similarity(
  prediction: np.ndarray, truth: np.ndarray, void: np.ndarray | None = None
) -> float:
  """Region similarity J = |S ∩ G| / |S ∪ G|, the Jaccard index.

  Args:
    prediction: bool [H, W] or numbers, true where not 0.
    truth: as prediction.
    void: pixels to ignore, as prediction; None: none.

  Returns:
    J in [0, 1]; 1 if both are empty.

  Raises:
    ValueError: the shapes differ or are not [H, W].
  """
  prediction, truth = _as_masks(prediction, truth, void)
  # Both masks together have |∪| + |∩| pixels, and differ in |∪| - |∩|.
  pixels = np.count_nonzero(prediction) + np.count_nonzero(truth)
  if not pixels:
    return 1.0
  differing = cv2.norm(
    prediction.view(np.uint8), truth.view(np.uint8), cv2.NORM_L1
  )
  return (pixels - differing) / (pixels + differing)


def boundary_map(mask: np.ndarray) -> np.ndarray:
  """Marks the pixels that differ from their right, lower or diagonal neighbour.

  The thin boundary lies half a pixel towards the origin from the true one
  (`seg2bmap` of Martin et al.'s segmentation benchmark). Pixels of the last row
  are compared only with the right neighbour, those of the last column only with
  the lower one, and the last pixel with none. A mask that fills the image has
  no boundary.

  Args:
    mask: bool [H, W] or numbers, true where not 0.

  Returns:
    bool [H, W].
  """
  return _boundaries(mask.astype(bool).view(np.uint8)).view(bool)


def _boundaries(maps: np.ndarray) -> np.ndarray:
  """As `boundary_map`, for up to eight masks at once.

  Args:
    maps: uint8 [H, W], one mask a bit.

  Returns:
    Their boundaries, as `maps`.
  """
  boundaries = np.zeros_like(maps)
  np.bitwise_xor(maps[:, :-1], maps[:, 1:], out=boundaries[:, :-1])
  boundaries[:-1] |= maps[:-1] ^ maps[1:]
  boundaries[:-1, :-1] |= maps[:-1, :-1] ^ maps[1:, 1:]
  return boundaries


def _cropped_pair(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """Joins both masks, cut to the box around them and one more pixel.

  That pixel keeps the boundary: where the box ends inside the image its outer
  row is empty, so the rules for the image's last row find nothing there.

  Args:
    prediction: bool [H, W].
    truth: bool [H, W].

  Returns:
    uint8 [h, w], the prediction in bit 0, the truth in bit 1; [0, 0] where
    both are empty.
  """
  both = prediction.view(np.uint8), truth.view(np.uint8)
  boxes = [box for box in map(cv2.boundingRect, both) if box[2]]
  if not boxes:
    return np.zeros((0, 0), np.uint8)
  left, top = (max(min(box[i] for box in boxes) - 1, 0) for i in (0, 1))
  right, bottom = (max(box[i] + box[i + 2] for box in boxes) for i in (0, 1))
  prediction, truth = (
    mask[top : bottom + 1, left : right + 1] for mask in both
  )
  return prediction | truth + truth


def _dilate_by_disk(maps: np.ndarray, radius: int) -> np.ndarray:
  """Sets each bit at every pixel within `radius` of one that has it.

  The disk is taken row by row: `row` holds the maps dilated by one of its
  rows, from the shortest at the top to the longest at the middle, and is laid
  that many rows further up and down. Bounds are included. Several maps go at
  once, in loops that are nothing but `or` of bytes: that is faster than
  OpenCV's dilations by the disk, or by the rectangles that make it up.

  Args:
    maps: uint8 [H, W], one map a bit.
    radius: at least 1.

  Returns:
    As `maps`.
  """
  height, width = maps.shape
  # The margin keeps what leaves a row from entering the next one.
  margin = (radius,) * 4
  padded = cv2.copyMakeBorder(maps, *margin, cv2.BORDER_CONSTANT, value=0)
  row: np.ndarray = padded.ravel()
  wider: np.ndarray = np.zeros(padded.size, np.uint8)
  dilated = np.zeros((height, padded.shape[1]), np.uint8)
  reach = 0
  for dy in range(radius, -1, -1):
    wanted = math.isqrt(radius * radius - dy * dy)
    while reach < wanted:
      # A run of 2 * reach + 1, moved both ways by `step`: no gap is left.
      step = min(wanted - reach, max(reach, 1))
      np.bitwise_or(row[: -2 * step], row[2 * step :], out=wider[step:-step])
      if not reach:  # The run is one pixel: the two leave out the middle.
        wider |= row
      row, wider = wider, row
      reach += step
    rows = row.reshape(padded.shape)
    for top in {radius - dy, radius + dy}:
      dilated |= rows[top : top + height]
  return dilated[:, radius : radius + width]


def boundary_accuracy(
  prediction: np.ndarray,
  truth: np.ndarray,
  void: np.ndarray | None = None,
  bound: float = BOUND,
) -> float:
  """Boundary accuracy F = 2PR / (P + R) of the boundary pixels.

  P is the share of predicted boundary pixels within a disk around a true one, R
  the share of true ones within a disk around a predicted one. The radius of the
  disk is ceil(bound · diagonal): 8 pixels at 854x480.

  Args:
    prediction: bool [H, W] or numbers, true where not 0.
    truth: as prediction.
    void: pixels set to background in both masks before the boundaries are
      computed, as prediction; None: none.
    bound: tolerance; below 1 a share of the image diagonal, otherwise pixels.

  Returns:
    F in [0, 1]; 1 if neither has a boundary, 0 if only one has.

  Raises:
    ValueError: the shapes differ or are not [H, W]; bound is not positive.
  """
  prediction, truth = _as_masks(prediction, truth, void)
  if not bound > 0:
    raise ValueError(f'bound {bound}: expected a positive number')
  pixels = bound if bound >= 1 else bound * np.linalg.norm(truth.shape)
  radius = int(np.ceil(pixels))

  boundaries = _boundaries(_cropped_pair(prediction, truth))
  predicted, true = boundaries & 1, boundaries >> 1
  predicted_count = np.count_nonzero(predicted)
  true_count = np.count_nonzero(true)
  if not predicted_count and not true_count:
    return 1.0
  if not predicted_count or not true_count:
    return 0.0
  near = _dilate_by_disk(boundaries, radius)
  precision = np.count_nonzero(predicted & near >> 1) / predicted_count
  recall = np.count_nonzero(true & near) / true_count
  if not precision + recall:
    return 0.0
  return 2 * precision * recall / (precision + recall)


def _mean(values: np.ndarray) -> float:
  """Mean of the values that are numbers, nan where there is none."""
  valid = values[~np.isnan(values)]
  return float(valid.mean()) if valid.size else float('nan')


def statistics(values: np.ndarray) -> Statistics:
  """Mean, recall and decay of a measure over the frames of a sequence.

  Recall is the share of values strictly above 0.5. For decay, the frames are
  divided at round(linspace(1, n, 5)) (halves up) into four bins that share
  their end frames; decay is the mean of the first bin minus that of the last.
  The official code stores the edges in 8 bits, which is wrong above 256 frames;
  here they are integers, so decay differs there.

  Args:
    values: numbers [n], one for each frame; as in the official code, nan is
      excluded from means and counts as a failed frame in recall.

  Returns:
    The three statistics; all nan for n = 0. The decay of one frame is 0.
  """
  values = np.asarray(values, np.float64)
  if not values.size:
    return Statistics(float('nan'), float('nan'), float('nan'))
  edges = np.round(np.linspace(1, values.size, _DECAY_BINS + 1) + 1e-10) - 1
  edges = edges.astype(np.int64)
  first = values[edges[0] : edges[1] + 1]
  last = values[edges[-2] : edges[-1] + 1]
  return Statistics(
    mean=_mean(values),
    recall=float(np.mean(values > _RECALL_THRESHOLD)),
    decay=_mean(first) - _mean(last),
  )
