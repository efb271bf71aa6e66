"""Compares an exported network with the original."""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses

import cv2
import jax
import numpy as np

from savos_jax import network
from savos_jax.exporting import functions
from savos_jax.models import savos_config

Run = Callable[[str, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
SIZE = (128, 224)  # Where any will do, pixels.
COUNT = 2


@dataclasses.dataclass(frozen=True)
class Parity:
  """The difference between two networks on a frame.

  Attributes:
    probability: the largest difference in probability.
    labels: number of pixels that only one network assigns to the object.
    pixels: number of pixels, of all objects.
  """

  probability: float
  labels: int
  pixels: int

  def __str__(self):
    """Returns one line of text."""
    return (
      f'largest difference in probability {self.probability:.1e}, '
      f'{self.labels} of {self.pixels} pixels are labelled otherwise'
    )


def video(
  count: int, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Draws two frames [K, H, W, 3] and the masks [K, H, W] of the first."""
  generator = np.random.default_rng(0)
  height, width = size
  frames = []
  for _ in range(count):
    noise = generator.random((height + 8, width + 8, 3), np.float32)
    ground = cv2.GaussianBlur(noise, (0, 0), 6)
    ground = (ground - ground.min()) / (ground.max() - ground.min())
    centre = (width // 2, height // 2)
    cv2.ellipse(
      ground, centre, (width // 5, height // 4), 20, 0, 360, (1, 0.3, 0.2), -1
    )
    frames.append(ground)
  both = np.stack(frames)
  mask = np.zeros((height, width), np.float32)
  centre = (width // 2, height // 2)
  cv2.ellipse(mask, centre, (width // 5, height // 4), 20, 0, 360, 1.0, -1)
  masks = np.repeat(mask[None], count, axis=0)
  return both[:, :height, :width], both[:, 4:-4, 4:-4], masks


def between(expected: np.ndarray, found: np.ndarray) -> Parity:
  """Compares probabilities [K, H, W]."""
  return Parity(
    float(np.abs(expected - found).max()),
    int(((expected > 0.5) != (found > 0.5)).sum()),
    expected.size,
  )


def measure(
  trained: network.Trained,
  run: Run,
  count: int | None = None,
  size: tuple[int, int] | None = None,
  region: bool = False,
) -> Parity:
  """Segments a synthetic frame with both networks.

  Args:
    trained: the original network.
    run: calls an exported function, given its name and its inputs by name.
    count: number of objects; None: a default, for an export that takes any.
    size: height and width in pixels; None: a default.
    region: whether the function takes the rows and columns to decode.
  """
  first, second, masks = video(count or COUNT, size or SIZE)
  flat = functions.flat(trained.params)
  cells = {}
  if region:  # All but the outermost cells.
    for name, side in zip(('rows', 'columns'), size or SIZE, strict=True):
      cells[name] = np.arange(
        1, side // savos_config.FINE_STRIDE - 1, dtype=np.int32
      )

  def own(name, inputs):
    own_function = functions.FUNCTIONS[name](trained.model)
    return jax.device_get(jax.jit(own_function)(flat, dict(inputs)))

  found = []
  for call in (own, run):
    kept = call('reference', {'frame': first, 'mask': masks})
    shown = {'frame': second, 'guidance': masks, **kept, **cells}
    found.append(np.asarray(call('step', shown)['probability']))
  return between(*found)
