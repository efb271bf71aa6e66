"""Cut-outs and backgrounds of the embedded clips.

Both come from the photographs that scikit-image ships inside its package; the
outlines of the cut-outs are hand-drawn masks in `embedded/`.
"""

import functools
import importlib.resources

import cv2
import numpy as np

from savos_jax.datasets import masks
from savos_jax.foundation import errors

# Cut-out -> photograph. Training and validation share no photograph.
OBJECTS = {
  'train': {
    'astronaut': 'astronaut.png',
    'shuttle': 'astronaut.png',
    'helmet': 'astronaut.png',
    'saucer': 'coffee.png',
    'cup': 'coffee.png',
    'coin_chipped': 'coins.png',
    'coin_king': 'coins.png',
    'coin_medusa': 'coins.png',
    'coin_standing': 'coins.png',
    'gland': 'ihc.png',
    'horse': 'horse.png',
    'rocket': 'rocket.jpg',
  },
  'val': {
    'cat': 'chelsea.png',
    'motorcycle': 'motorcycle_left.png',
    'cameraman': 'camera.png',
    'retina': 'retina.jpg',
  },
}
# Photograph -> the part to use: left, top, right, bottom; None for all of it.
BACKGROUNDS = {
  'train': {
    'brick.png': None,
    'grass.png': None,
    'hubble_deep_field.jpg': None,
    'ihc.png': None,
    'rocket.jpg': (0, 130, 300, 427),  # Left of the rocket.
  },
  'val': {
    'gravel.png': None,
    'moon.png': None,
    'motorcycle_left.png': None,
    'camera.png': (335, 110, 512, 300),  # Right of the man.
  },
}
# The colours that stand for black and white where a photograph is grey.
_METALS = (
  ((35, 22, 8), (255, 222, 150)),
  ((30, 14, 8), (235, 160, 110)),
  ((22, 26, 32), (228, 236, 245)),
)
_GROUNDS = (
  ((45, 22, 15), (225, 175, 145)),
  ((15, 32, 10), (190, 215, 130)),
  ((25, 25, 40), (205, 212, 230)),
)
_TINTS = {
  'brick.png': _GROUNDS,
  'camera.png': (((18, 16, 20), (240, 238, 230)),),
  'coins.png': _METALS,
  'grass.png': _GROUNDS,
  'gravel.png': _GROUNDS,
  'horse.png': (((95, 52, 28), (255, 255, 255)), ((60, 58, 66), (255,) * 3)),
  'moon.png': _GROUNDS,
}


@functools.lru_cache(maxsize=32)
def _read(name: str) -> np.ndarray:
  """Reads a photograph from the scikit-image package, RGB uint8 [H, W, 3]."""
  try:
    folder = importlib.resources.files('skimage').joinpath('data')
  except ModuleNotFoundError:
    raise errors.SavosError(
      'scikit-image is not installed; the embedded clips are made of its '
      "photographs.\n  Run: pip install 'savos_jax[jax]'"
    ) from None
  with importlib.resources.as_file(folder.joinpath(name)) as path:
    if not path.is_file():
      raise errors.SavosError(
        f'{path}: file not found.\n  Expected the photograph {name} inside the '
        'scikit-image package; some Linux packages leave it out. Run: pip '
        'install --force-reinstall scikit-image'
      )
    return masks.read_frame(path)


def _colour_photo(name: str, rng: np.random.Generator) -> np.ndarray:
  """Returns a photograph, float32 [H, W, 3]; grey ones in tints."""
  photo = _read(name).astype(np.float32)
  if name not in _TINTS:
    return photo
  tints = np.array(_TINTS[name], np.float32)
  dark, light = tints[rng.integers(len(tints))]
  return dark + photo / 255 * (light - dark)


def _outline(name: str) -> np.ndarray:
  """Returns the hand-drawn mask of a cut-out, uint8 [H, W], 0 or 1."""
  folder = importlib.resources.files('savos_jax.synthetic').joinpath('embedded')
  with importlib.resources.as_file(folder.joinpath(f'{name}.png')) as path:
    return masks.read_mask(path)


def _clean_edges(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Replaces what lies outside or near the edge by the object's colours.

  Along an outline pixels mix both sides: kept, they would surround the object
  by a halo of its old background.

  Args:
    image: float32 [H, W, 3].
    mask: uint8 [H, W], 0 or 1.

  Returns:
    float32 [H, W, 3].
  """
  rim = max(1, round(0.008 * np.sqrt(mask.sum())))
  kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1,) * 2)
  # Outside the photograph counts as object: no rim where it was cropped.
  inside = cv2.erode(mask, kernel, borderType=cv2.BORDER_REPLICATE)
  _, nearest = cv2.distanceTransformWithLabels(
    1 - inside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
  )
  colours = np.zeros((int(nearest.max()) + 1, 3), np.float32)
  colours[nearest[inside > 0]] = image[inside > 0]
  return colours[nearest]


def cut_out(
  name: str, photo: str, side: float, longest: float, rng: np.random.Generator
) -> np.ndarray:
  """Cuts an object out at the size at which it will be drawn.

  Args:
    name: of the cut-out.
    photo: of its photograph.
    side: square root of the desired area, pixels.
    longest: limit of height and width, pixels.
    rng: determines the tint, the shade and mirroring.

  Returns:
    Premultiplied colour and opacity, float32 [h, w, 4], 0..255 and 0..1.
  """
  mask = _outline(name)
  x, y, width, height = cv2.boundingRect(mask)
  box = np.s_[y : y + height, x : x + width]
  mask = mask[box]
  image = _clean_edges(_colour_photo(photo, rng)[box], mask)
  image *= rng.uniform(0.92, 1.08, 3).astype(np.float32)
  opacity = mask.astype(np.float32)[..., None]
  layer = np.concatenate([image * opacity, opacity], axis=-1)
  if rng.random() < 0.5:
    layer = np.ascontiguousarray(layer[:, ::-1])
  factor = min(side / np.sqrt(mask.sum()), longest / max(width, height))
  # Area averaging when shrinking: thin parts and texture must not flicker.
  shape = max(2, round(width * factor)), max(2, round(height * factor))
  method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
  return cv2.resize(layer, shape, interpolation=method)


def background(
  name: str, box: tuple[int, int, int, int] | None, rng: np.random.Generator
) -> np.ndarray:
  """Returns a background photograph, float32 [H, W, 3], 0..255.

  Args:
    name: of the photograph.
    box: the part to use: left, top, right, bottom; None for all of it.
    rng: determines the tint, the shade and mirroring.
  """
  image = _colour_photo(name, rng)
  if box:
    image = image[box[1] : box[3], box[0] : box[2]]
  if rng.random() < 0.5:
    image = image[:, ::-1]
  return image * rng.uniform(0.85, 1.1, 3).astype(np.float32)
