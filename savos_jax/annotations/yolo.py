"""YOLO segmentation as Ultralytics has it: a text a frame, polygons in it.

https://docs.ultralytics.com/datasets/segment. A line is an object: its class
and one polygon, in shares of width and height. An object of several parts has a
line for each. Polygons pass through pixels: they are read by OpenCV, which
fills the outline, too, from whole numbers.
"""

import yaml

from savos_jax.annotations import clip as clip_lib
from savos_jax.annotations import polygons

# From the middle of a pixel to where it is the same one, cut off (Ultralytics)
# or rounded (supervision).
_INSIDE = 0.25


def lines(clip: clip_lib.Clip, frame: clip_lib.Frame) -> str:
  """Returns what is said of a frame."""
  found = []
  for object_id, mask in frame.seen(clip):
    for corners in polygons.outlines(mask, finer=1):
      shares = (corners - _INSIDE) / (clip.width, clip.height)
      numbers = ' '.join(f'{share:.6f}' for share in shares.ravel())
      found.append(f'{clip.category(object_id)} {numbers}\n')
  return ''.join(found)


class Writer(clip_lib.Writer):
  """images/train/FRAME.jpg, labels/train/FRAME.txt and data.yaml."""

  def add(self, frame: clip_lib.Frame) -> clip_lib.Files:
    """Returns the frame's image and text."""
    return {
      f'images/train/{frame.name}.jpg': [frame.jpeg()],
      f'labels/train/{frame.name}.txt': [lines(self.clip, frame).encode()],
    }

  def end(self) -> clip_lib.Files:
    """Returns what a training reads first."""
    told = {
      'path': '.',
      'train': 'images/train',
      'val': 'images/train',
      'names': dict(enumerate(self.clip.categories)),
    }
    return {'data.yaml': [yaml.safe_dump(told, sort_keys=False).encode()]}
