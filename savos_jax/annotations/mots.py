"""MOTSChallenge's format: a line of run lengths for each object and frame.

time_frame id class_id height width rle; frames are numbered from 1, and an id
is 1000 times the class plus the object's id. The classes are 1 (car) and 2
(pedestrian). The official tools know no others, so everything that is not a car
has class 2.
"""

from savos_jax.annotations import clip as clip_lib
from savos_jax.annotations import rle

_CLASSES = {'car': 1}
_OTHERS = 2
_IDS = 1000  # Of a class.


def line(
  clip: clip_lib.Clip, frame: clip_lib.Frame, object_id: int, mask
) -> str:
  """Returns the line of an object, mask bool [H, W], in a frame."""
  kind = _CLASSES.get(clip.objects[object_id].lower(), _OTHERS)
  size = f'{clip.height} {clip.width}'
  number = kind * _IDS + object_id
  return f'{frame.index + 1} {number} {kind} {size} {rle.encode(mask)}\n'


class Writer(clip_lib.Writer):
  """Writes one file, named after the video."""

  def __init__(self, clip: clip_lib.Clip):
    """Starts without frames."""
    super().__init__(clip)
    self._lines = clip_lib.Rows()

  def add(self, frame: clip_lib.Frame) -> clip_lib.Files:
    """Adds a line for each object."""
    for object_id, mask in frame.seen(self.clip):
      self._lines.add(line(self.clip, frame, object_id, mask))
    return {}

  def end(self) -> clip_lib.Files:
    """Returns the file."""
    return {f'{self.clip.name}.txt': self._lines}
