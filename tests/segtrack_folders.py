"""Small data sets in SegTrack v2's layout, quirks included."""

import pathlib

import numpy as np
from PIL import Image

SIZE = (20, 30)
# Sequence -> (extension of its frames, of its masks, number of objects).
KINDS = {
  'frog': ('.png', '.png', 1),
  'penguin': ('.bmp', '.png', 2),
  'monkeydog': ('.jpg', '.bmp', 2),
}


def stem(name: str, index: int) -> str:
  return f'{name}_{index + 7:05d}'


def object_mask(object_id: int, index: int) -> np.ndarray:
  """Returns bool [H, W]; the objects never touch, and move down."""
  mask = np.zeros(SIZE, bool)
  left = 2 + 14 * (object_id - 1)
  mask[4 + index : 12 + index, left : left + 10] = True
  return mask


def write_grey(path: pathlib.Path, values: np.ndarray, mode: str = 'RGB'):
  """Writes grey values as the data set does: three equal channels."""
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(values.astype(np.uint8)).convert(mode).save(path)


def truth_file(root, name: str, index: int, object_id: int = 1):
  """Returns the path of a mask."""
  _, extension, objects = KINDS[name]
  folder = root / 'GroundTruth' / name
  if objects > 1:
    folder /= str(object_id)
  return folder / f'{stem(name, index)}{extension}'


def make(root: pathlib.Path, frames: int = 4) -> pathlib.Path:
  """Writes the three sequences and returns the root."""
  lists = root / 'ImageSets'
  lists.mkdir(parents=True)
  (lists / 'all.txt').write_text(''.join(f'*{name}\n' for name in KINDS))
  rng = np.random.default_rng(0)
  for name, (extension, _, objects) in KINDS.items():
    stems = [stem(name, index) for index in range(frames)]
    (lists / f'{name}.txt').write_text('\n'.join([name + '/', *stems, '']))
    for index in range(frames):
      frame = root / 'JPEGImages' / name / f'{stems[index]}{extension}'
      frame.parent.mkdir(parents=True, exist_ok=True)
      Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8)).save(frame)
      for k in range(1, objects + 1):
        values = 255 * object_mask(k, index)
        write_grey(truth_file(root, name, index, k), values)
  return root
