"""Ultralytics' YOLO segmentation: a text file of polygons for each frame.

https://docs.ultralytics.com/datasets/segment. Each line has a class and one
polygon, as fractions of width and height; an object in several parts has
several lines. Polygons pass through pixel centres, because the reader is
OpenCV, which rounds to integers and fills the outline as well.
"""

import yaml

from savos_jax.annotations import clip as clip_lib
from savos_jax.annotations import polygons

# From the middle of a pixel to where it is the same one, cut off (Ultralytics)
# or rounded (supervision).
_INSIDE = 0.25


def lines(clip: clip_lib.Clip, frame: clip_lib.Frame) -> str:
  """Returns the lines of a frame."""
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
    """Returns the file that describes the data set."""
    told = {
      'path': '.',
      'train': 'images/train',
      'val': 'images/train',
      'names': dict(enumerate(self.clip.categories)),
    }
    return {'data.yaml': [yaml.safe_dump(told, sort_keys=False).encode()]}
