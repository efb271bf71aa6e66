"""Reads first masks from the files of other programs, recognised by content."""

from collections.abc import Sequence
import os
import pathlib

from savos_jax.annotations import coco
from savos_jax.annotations import cvat
from savos_jax.annotations import label_studio
from savos_jax.annotations import labelme
from savos_jax.annotations import shapes
from savos_jax.annotations import told as told_lib

SUFFIXES = ('.json', '.xml')
# A field of the whole that only this format has, and its module.
_JSON = {'annotations': coco, 'shapes': labelme, 'data': label_studio}
_ALL = 'COCO, labelme, CVAT (XML) or Label Studio'


def is_annotations(path: str | os.PathLike) -> bool:
  """Whether a file name is that of annotations."""
  return pathlib.Path(path).suffix.lower() in SUFFIXES


def _module(path):
  """Returns the module that reads a file."""
  if pathlib.Path(path).suffix.lower() == '.xml':
    return cvat
  told = told_lib.read_json(path)
  if isinstance(told.value, list):
    return label_studio
  for field, module in _JSON.items():
    if told.has(field):
      return module
  raise told_lib.error(
    path,
    'a JSON file, but of no known annotations.',
    f'Expected masks or polygons of {_ALL}, or a mask as PNG.',
  )


def read(
  paths: Sequence[str | os.PathLike],
  frames: shapes.Frames,
  given: Sequence[int | None] | None = None,
) -> shapes.Found:
  """Reads masks and polygons.

  Args:
    paths: one or more files of one format (labelme has one for each frame).
    frames: of the video.
    given: for each file, the frame of its only picture; None: the file says.
      The only picture of a single file is the first frame if its name matches
      no frame.

  Returns:
    Labels of each frame with shapes, and the names of the objects. Objects keep
    the numbers of the files (tracks, groups, names such as object_3) if they
    are 1 to 254; otherwise they are numbered 1, 2, ... in order.

  Raises:
    SavosError: a file cannot be read, has another format than the first, or
      does not identify its frames or objects.
  """
  modules = {_module(path) for path in paths}
  if len(modules) > 1:
    raise told_lib.error(
      paths[0],
      f'of another format than others of the {len(paths)} files.',
      'Expected files of one format.',
    )
  module = modules.pop()
  found, alone = [], len(paths) == 1
  for path, index in zip(paths, given or [None] * len(paths), strict=True):
    drawn = module.read(path)
    found += shapes.frames_of(path, drawn, frames, given=index, alone=alone)
  return shapes.to_labels(found, module.TELLING)
