"""Step 1: a change of illumination."""

import cv2
import numpy as np

from savos_jax.data import lucid_config as config_lib

_GREY = 0.1  # Saturation below which the hue is unreliable.


def change_illumination(
  image: np.ndarray, config: config_lib.LucidConfig, rng: np.random.Generator
) -> np.ndarray:
  """Changes saturation and value: x' = clip(a x^b + c), each with own a, b, c.

  For saturation, c falls to 0 between x = 0.1 and x = 0: the hue of grey pixels
  is noise and must not become visible.

  Args:
    image: RGB uint8 [H, W, 3].
    config: illumination_*.
    rng: source of randomness.

  Returns:
    RGB uint8 [H, W, 3]; at random, the input unchanged.
  """
  if rng.random() >= config.illumination_probability:
    return image
  unit = np.multiply(image, np.float32(1 / 255), dtype=np.float32)
  hue, *channels = cv2.split(cv2.cvtColor(unit, cv2.COLOR_RGB2HSV))
  # Only the offset of saturation needs this; the other terms keep grey grey.
  weights = (np.minimum(channels[0] * np.float32(1 / _GREY), 1), 1)
  changed = []
  for channel, weight in zip(channels, weights, strict=True):
    gain = rng.uniform(*config.illumination_gain)
    exponent = rng.uniform(*config.illumination_exponent)
    offset = rng.uniform(-1, 1) * config.illumination_offset
    result = cv2.pow(channel, exponent)
    result *= np.float32(gain)
    result += np.float32(offset) * weight
    changed.append(np.clip(result, 0, 1, out=result))
  rgb = cv2.cvtColor(cv2.merge([hue, *changed]), cv2.COLOR_HSV2RGB)
  return cv2.convertScaleAbs(rgb, alpha=255)
