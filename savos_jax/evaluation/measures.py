"""The measures of DAVIS: region similarity J, boundary accuracy F.

Perazzi et al., "A benchmark dataset and evaluation methodology for video
object segmentation", CVPR 2016, sections 5.1 and 5.2; the details that decide
the third decimal are those of the official code (davis2017-evaluation).
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
  """What a sequence's values of one measure come to.

  Attributes:
    mean: over frames.
    recall: share of the frames above 0.5.
    decay: mean of the first quarter minus mean of the last.
  """

  mean: float
  recall: float
  decay: float


def _as_masks(
  prediction: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  if prediction.ndim != 2 or prediction.shape != truth.shape:
    raise ValueError(
      f'prediction {prediction.shape} and truth {truth.shape}: '
      'expected two masks [H, W] of one size'
    )
  return prediction.astype(bool), truth.astype(bool)


def region_similarity(prediction: np.ndarray, truth: np.ndarray) -> float:
  """Region similarity J = |S ∩ G| / |S ∪ G|, the Jaccard index.

  Args:
    prediction: bool [H, W] or numbers, true where not 0.
    truth: as prediction.

  Returns:
    J in [0, 1]; 1 where both are empty.

  Raises:
    ValueError: the shapes differ or are not [H, W].
  """
  prediction, truth = _as_masks(prediction, truth)
  union = np.count_nonzero(prediction | truth)
  if not union:
    return 1.0
  return np.count_nonzero(prediction & truth) / union


def boundary_map(mask: np.ndarray) -> np.ndarray:
  """Marks the pixels that differ from their right, lower or diagonal neighbour.

  The thin boundary lies half a pixel towards the origin from the true one
  (`seg2bmap` of Martin et al.'s segmentation benchmark). The last row compares
  with its right neighbour alone, the last column with its lower one, and the
  last pixel with none. A mask that fills the image has no boundary.

  Args:
    mask: bool [H, W] or numbers, true where not 0.

  Returns:
    bool [H, W].
  """
  mask = mask.astype(bool)
  right = mask[:, :-1] ^ mask[:, 1:]
  below = mask[:-1] ^ mask[1:]
  boundary = np.zeros(mask.shape, bool)
  boundary[:, :-1] = right
  boundary[:-1] |= below
  boundary[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
  return boundary


def _crop(
  prediction: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Cuts both masks to the box around them and one more pixel.

  That pixel keeps the boundary: where the box ends inside the image its outer
  row is empty, so the rules for the image's last row find nothing there.
  """
  x, y, width, height = cv2.boundingRect((prediction | truth).view(np.uint8))
  box = (
    slice(max(y - 1, 0), y + height + 1),
    slice(max(x - 1, 0), x + width + 1),
  )
  return prediction[box], truth[box]


def _dilate_by_disk(mask: np.ndarray, radius: int) -> np.ndarray:
  """Marks every pixel within `radius` of a true one, bounds included.

  A disk on the pixel grid is the union of one rectangle for each of its
  different widths; a rectangle dilates in time that is independent of its size,
  so this is exact and cheaper than one dilation by the disk.

  Args:
    mask: bool [H, W].
    radius: at least 1.

  Returns:
    bool [H, W].
  """
  heights = {}  # Half width -> the largest half height that has it.
  for dy in range(radius + 1):
    heights[math.isqrt(radius * radius - dy * dy)] = dy
  source = mask.view(np.uint8)
  dilated = np.zeros_like(source)
  for dx, dy in heights.items():
    rectangle = np.ones((2 * dy + 1, 2 * dx + 1), np.uint8)
    cv2.bitwise_or(dilated, cv2.dilate(source, rectangle), dst=dilated)
  return dilated.view(bool)


def boundary_accuracy(
  prediction: np.ndarray, truth: np.ndarray, bound: float = BOUND
) -> float:
  """Boundary accuracy F = 2PR / (P + R) of the boundary pixels.

  P is the share of the prediction's boundary pixels that lie within a disk
  around one of the truth's, R the other way round. The disk has the radius
  ceil(bound · diagonal): 8 pixels at 854x480.

  Args:
    prediction: bool [H, W] or numbers, true where not 0.
    truth: as prediction.
    bound: tolerance; below 1 a share of the image diagonal, else pixels.

  Returns:
    F in [0, 1]; 1 where neither has a boundary, 0 where one has none.

  Raises:
    ValueError: the shapes differ or are not [H, W]; bound is not positive.
  """
  prediction, truth = _as_masks(prediction, truth)
  if not bound > 0:
    raise ValueError(f'bound {bound}: expected a positive number')
  pixels = bound if bound >= 1 else bound * np.linalg.norm(truth.shape)
  radius = int(np.ceil(pixels))

  predicted, true = map(boundary_map, _crop(prediction, truth))
  predicted_count = np.count_nonzero(predicted)
  true_count = np.count_nonzero(true)
  if not predicted_count and not true_count:
    return 1.0
  if not predicted_count or not true_count:
    return 0.0
  hits = np.count_nonzero(predicted & _dilate_by_disk(true, radius))
  precision = hits / predicted_count
  found = np.count_nonzero(true & _dilate_by_disk(predicted, radius))
  recall = found / true_count
  if not precision + recall:
    return 0.0
  return 2 * precision * recall / (precision + recall)


def _mean(values: np.ndarray) -> float:
  """Mean of the values that are numbers, nan where there is none."""
  valid = values[~np.isnan(values)]
  return float(valid.mean()) if valid.size else float('nan')


def statistics(values: np.ndarray) -> Statistics:
  """Mean, recall and decay of a measure over the frames of a sequence.

  Recall is the share of values above 0.5, itself excluded. Decay divides the
  frames at round(linspace(1, n, 5)) (halves up) into four bins that share their
  end frames, and is the first bin's mean minus the last one's. The official
  code stores the bin edges in 8 bits, which is wrong above 256 frames; here
  they are integers, so decay differs from it there.

  Args:
    values: numbers [n], one a frame; nan is left out of means, and counts as a
      failed frame in recall, as in the official code.

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
