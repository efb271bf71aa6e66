"""Pictures of dreams: a gallery, or the steps of a single one."""

from collections.abc import Sequence
import dataclasses

import cv2
import numpy as np

from savos_jax.data import lucid
from savos_jax.data.lucid import blending
from savos_jax.pictures import overlay

_CELL = 320  # Pixels, long side of a picture in a table.
_SQUARE = 8  # Pixels, of the checkerboard that stands for transparency.
_MARKED = (255, 0, 255)  # Colour of pixels to fill or blend; rare in photos.
_CLOSE_UP = 5  # A close-up shows 1/5 of the height and width.


def _heading(text: str, width: int) -> np.ndarray:
  return np.rot90(overlay.caption(text, width), -1)


def _cell(picture, labels=None, alpha=0.0) -> np.ndarray:
  """Returns a picture at the size of a cell, with outlines of its objects."""
  if labels is None:
    labels = np.zeros(picture.shape[:2], np.uint8)
  scale = _CELL / max(labels.shape)
  height = max(1, round(labels.shape[0] * scale))
  return overlay.cell(picture, labels, height, alpha)


def _table(rows: list[list[np.ndarray]]) -> np.ndarray:
  """Stacks rows of pictures, padding short rows with white."""
  joined = [overlay.beside(row, axis=1) for row in rows]
  width = max(row.shape[1] for row in joined)
  filled = [
    np.pad(
      row,
      ((0, 0), (0, width - row.shape[1]), (0, 0)),
      constant_values=255,
    )
    for row in joined
  ]
  return overlay.beside(filled, axis=0)


# --- The gallery. ------------------------------------------------------------


def _dream_cells(dream: lucid.Dream) -> dict[str, np.ndarray]:
  """Returns a dream's pictures by heading."""
  cells = {'reference': _cell(dream.reference_frame, dream.reference_labels)}
  for t, (frame, labels) in enumerate(
    zip(dream.frames, dream.labels, strict=True), 1
  ):
    name = f'target {t}' if len(dream.frames) > 1 else 'target'
    cells[name] = _cell(frame, labels)
  cells['no outline'] = _cell(dream.frames[0])
  cells['previous mask'] = _cell(dream.frames[0], dream.previous_labels, 0.5)
  return cells


def gallery(dreams: Sequence[lucid.Dream]) -> np.ndarray:
  """Draws dreams, one per row.

  Args:
    dreams: at least one, all with the same size and length.

  Returns:
    RGB uint8, with columns for the reference frame, the target frames, the
    first target without outlines, and the first target with the previous mask.
  """
  rows: list[list[np.ndarray]] = []
  for number, dream in enumerate(dreams):
    cells = _dream_cells(dream)
    height, width = next(iter(cells.values())).shape[:2]
    number_cell = overlay.caption(f'dream {number}', height)
    if not rows:
      headings = [_heading(text, width) for text in cells]
      corner = np.full(
        (headings[0].shape[0], number_cell.shape[1], 3), 255, np.uint8
      )
      rows.append([corner, *headings])
    rows.append([number_cell, *cells.values()])
  return _table(rows)


# --- The five steps. ---------------------------------------------------------


def _checkerboard(size: tuple[int, int]) -> np.ndarray:
  rows, columns = np.indices(size) // _SQUARE
  grey = np.where((rows + columns) % 2, 150, 105).astype(np.uint8)
  return cv2.merge([grey] * 3)


def _alone(layers, size) -> np.ndarray:
  """Draws layers over a checkerboard, RGB uint8 [H, W, 3]."""
  plain = lucid.LucidConfig(merge='feather', feather=0.0)
  nothing = np.zeros(size, np.uint8)
  return lucid.merge(_checkerboard(size), nothing, layers, plain)[0]


def _cut_alone(frame, labels, moving) -> np.ndarray:
  inside = np.isin(labels, moving)[..., None]
  return np.where(inside, frame, _checkerboard(labels.shape))


def _close_up(band: np.ndarray) -> tuple[slice, slice]:
  """Returns rows and columns of the window that contains most of the band."""
  height, width = (max(1, side // _CLOSE_UP) for side in band.shape)
  # Sums over all windows, from an integral image.
  table = cv2.integral(band.astype(np.uint8))
  sums = (
    table[height:, width:]
    - table[:-height, width:]
    - table[height:, :-width]
    + table[:-height, :-width]
  )
  top, left = np.unravel_index(sums.argmax(), sums.shape)
  return slice(top, top + height), slice(left, left + width)


def _enlarge(picture: np.ndarray) -> np.ndarray:
  """Enlarges a close-up by pixel replication, to at least a cell's size."""
  factor = -(-_CELL // max(picture.shape[:2]))
  return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _merge_rows(
  seen, tracks, config, rng
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """Returns the pictures of step 5, and close-ups of the target's outline."""
  layers = [[track[t] for track in tracks] for t in (0, 1)]
  variants = {
    'not blended': dataclasses.replace(config, merge='feather', feather=0.0),
    'feather': dataclasses.replace(config, merge='feather'),
    'poisson': dataclasses.replace(config, merge='poisson'),
  }
  (first, first_ids), (second, second_ids) = seen
  reference, _ = lucid.merge(first, first_ids, layers[0], config)
  merged = {
    name: lucid.merge(second, second_ids, layers[1], variant)
    for name, variant in variants.items()
  }
  labels = merged['poisson'][1]
  previous = lucid.previous_labels(labels, config, rng)
  band = np.zeros(labels.shape, bool)
  for layer in layers[1]:
    mask = (labels == layer.object_id).astype(np.uint8)
    thin = blending.thin_parts(mask, config.band)
    band |= blending.outline_band(mask, config.band) & ~thin
  shown = merged['poisson'][0].copy()
  shown[band] = shown[band] // 2 + np.array(_MARKED, np.uint8) // 2
  window = _close_up(band)
  pictures = {
    'reference': reference,
    'target, feather': merged['feather'][0],
    'target, poisson': merged['poisson'][0],
    'poisson band': shown,
    'previous mask': overlay.draw(merged['poisson'][0], previous),
  }
  near = {name: picture[window] for name, (picture, _) in merged.items()}
  near['poisson band'] = shown[window]
  return pictures, {name: _enlarge(cut) for name, cut in near.items()}


def steps(
  frame: np.ndarray,
  labels: np.ndarray,
  moving: Sequence[int],
  config: lucid.LucidConfig,
  size: tuple[int, int],
  rng: np.random.Generator,
) -> np.ndarray:
  """Draws the steps of a dream, one per row.

  Args:
    frame: RGB uint8 [h, w, 3].
    labels: uint8 [h, w].
    moving: ids that are cut out.
    config: the ranges; the illumination is always changed.
    size: (height, width) of the dream, pixels.
    rng: source of randomness.

  Returns:
    RGB uint8.
  """
  lit = dataclasses.replace(config, illumination_probability=1.0)
  changed = lucid.change_illumination(frame, lit, rng)
  filled = lucid.inpaint(frame, labels, moving, config)
  background, staying, cutouts = lucid.split(
    frame, labels, moving, config, rng, filled
  )
  holed = frame.copy()
  holed[lucid.hole(labels, moving, config) > 0] = _MARKED
  scale = max(size[0] / labels.shape[0], size[1] / labels.shape[1])
  tracks = [
    lucid.move_object(cutout, size, scale, config, rng) for cutout in cutouts
  ]
  seen = lucid.move_camera(background, staying, size, scale, config, rng)
  split = {
    'frame': overlay.draw(frame, labels, 0.0),
    'cut out': _cut_alone(frame, labels, moving),
    'hole': holed,
    'inpainted': filled,
  }
  if not np.array_equal(background, filled):
    split['mirrored'] = background
  merged, near = _merge_rows(seen, tracks, config, rng)
  pictures = {
    '1 illumination': {'frame': frame, 'changed': changed},
    '2 split': split,
    '3 objects': {
      name: _alone([track[t] for track in tracks], size)
      for t, name in enumerate(('reference', 'target'))
    },
    '4 camera': {'reference': seen[0][0], 'target': seen[1][0]},
    '5 merge': merged,
    '5 close up': near,
  }
  return _table([_step_row(*row) for row in pictures.items()])


def _step_row(title: str, pictures: dict[str, np.ndarray]) -> list[np.ndarray]:
  cells = []
  for name, picture in pictures.items():
    shown = _cell(picture)
    cells.append(
      overlay.beside([_heading(name, shown.shape[1]), shown], axis=0)
    )
  # Sizes within a row differ by at most a pixel of rounding.
  height = min(cell.shape[0] for cell in cells)
  cells = [cell[:height] for cell in cells]
  return [overlay.caption(title, height), *cells]
