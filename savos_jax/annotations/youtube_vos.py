"""YouTube-VOS: indexed PNGs, and meta.json with the objects."""

import json

from savos_jax.annotations import clip as clip_lib
from savos_jax.datasets import masks


class Writer(clip_lib.Writer):
  """Annotations/VIDEO/FRAME.png and meta.json."""

  def __init__(self, clip: clip_lib.Clip):
    """Starts without frames."""
    super().__init__(clip)
    self._frames: dict[int, list[str]] = {i: [] for i in sorted(clip.objects)}

  def add(self, frame: clip_lib.Frame) -> clip_lib.Files:
    """Returns the frame's mask."""
    for object_id, _ in frame.seen(self.clip):
      self._frames[object_id].append(frame.name)
    path = f'Annotations/{self.clip.name}/{frame.name}.png'
    return {path: [masks.encode_mask(frame.labels)]}

  def end(self) -> clip_lib.Files:
    """Returns the file that lists the frames of each object."""
    objects = {
      str(object_id): {
        'category': self.clip.objects[object_id],
        'frames': frames,
      }
      for object_id, frames in self._frames.items()
      if frames
    }
    told = {'videos': {self.clip.name: {'objects': objects}}}
    return {'meta.json': [json.dumps(told, indent=1).encode(), b'\n']}
