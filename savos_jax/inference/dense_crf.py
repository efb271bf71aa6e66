"""Aligns labels with image edges: a fully connected CRF (section 6.4.2).

Krähenbühl and Koltun's mean-field inference: each pixel's probabilities are
pulled towards those of nearby pixels (Gaussian kernel) and of similarly
coloured pixels in a wider neighbourhood (bilateral kernel).
"""

import math
from types import ModuleType

import numpy as np

from savos_jax.foundation import extras
from savos_jax.inference import options

_LEAST = 1e-7  # Smallest probability, as in `aggregation`.
# Pixels further away than this many standard deviations are ignored.
_REACH = 2.0


def require() -> ModuleType:
  """Imports pydensecrf.

  Raises:
    SavosError: it is not installed.
  """
  return extras.require('pydensecrf.densecrf', 'crf', 'the dense CRF')


def refine(
  frame: np.ndarray, classes: np.ndarray, config: options.InferenceConfig
) -> np.ndarray:
  """Labels a frame.

  Only a window around the objects is processed; labels outside it are left
  unchanged.

  Args:
    frame: RGB uint8 [H, W, 3].
    classes: probabilities float32 [K + 1, H, W], the background first; they
      need not sum to 1 at a pixel.
    config: supplies the `crf_*` fields.

  Returns:
    uint8 [H, W]: 0 for the background, k for the object of `classes[k]`.

  Raises:
    SavosError: pydensecrf is not installed.
  """
  labels = classes.argmax(axis=0).astype(np.uint8)
  window = _window(classes, config)
  if window is None:
    return labels
  rows, columns = window
  found = mean_field(frame[rows, columns], classes[:, rows, columns], config)
  labels[rows, columns] = found.argmax(axis=0)
  return labels


def _window(
  classes: np.ndarray, config: options.InferenceConfig
) -> tuple[slice, slice] | None:
  """Returns the region where labels may change, with a margin for context."""
  # The most that other pixels can add to an object's logit.
  most = config.crf_gaussian_weight + config.crf_bilateral_weight
  possible = classes[1:].max(axis=0) > math.exp(-most) * classes[0]
  if not possible.any():
    return None
  margin = math.ceil(
    _REACH * max(config.crf_gaussian_sxy, config.crf_bilateral_sxy)
  )
  rows, columns = (
    _padded(np.flatnonzero(possible.any(axis=axis)), margin) for axis in (1, 0)
  )
  return rows, columns


def _padded(indices: np.ndarray, margin: int) -> slice:
  return slice(max(0, indices[0] - margin), indices[-1] + margin + 1)


def mean_field(
  frame: np.ndarray, classes: np.ndarray, config: options.InferenceConfig
) -> np.ndarray:
  """Returns the probabilities after mean-field inference.

  Args:
    frame: as for `refine`.
    classes: as for `refine`.
    config: as for `refine`.

  Returns:
    Float32 [K + 1, H, W]; sums to 1 at each pixel.

  Raises:
    SavosError: pydensecrf is not installed.
  """
  library = require()
  count, height, width = classes.shape
  field = library.DenseCRF2D(width, height, count)
  energy = -np.log(np.clip(classes, _LEAST, 1.0)).reshape(count, -1)
  field.setUnaryEnergy(np.ascontiguousarray(energy, np.float32))
  field.addPairwiseGaussian(
    sxy=config.crf_gaussian_sxy, compat=config.crf_gaussian_weight
  )
  field.addPairwiseBilateral(
    sxy=config.crf_bilateral_sxy,
    srgb=config.crf_bilateral_srgb,
    rgbim=np.array(frame, order='C'),  # It rejects read-only arrays.
    compat=config.crf_bilateral_weight,
  )
  found = field.inference(config.crf_iterations)
  return np.asarray(found, np.float32).reshape(classes.shape)
