"""The formats in which masks can be exported.

Their modules are imported on use: a program's help needs only the names.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
  from savos_jax.annotations import clip as clip_lib


class Format(typing.NamedTuple):
  """A format.

  Attributes:
    module: of this package.
    maker: the name there that turns a `clip.Clip` into a `clip.Writer`.
    says: a description of what is written.
  """

  module: str
  maker: str
  says: str


# By name, which is its folder's, too.
FORMATS = {
  'coco': Format('coco', 'with_runs', 'instances as run lengths, exact'),
  'coco_polygons': Format('coco', 'with_polygons', 'instances as polygons'),
  'youtube_vos': Format('youtube_vos', 'Writer', 'masks and meta.json'),
  'mots': Format('mots', 'Writer', 'text of MOTSChallenge, exact'),
  'labelme': Format(
    'labelme', 'Writer', 'JSON and image for each frame, exact'
  ),
  'cvat': Format('cvat', 'Masks', 'video 1.1, masks, exact'),
  'cvat_polygons': Format('cvat', 'Polygons', 'video 1.1, tracks of polygons'),
  'label_studio': Format('label_studio', 'Writer', 'brush strokes, exact'),
  'yolo': Format('yolo', 'Writer', 'segmentation, polygons'),
  'csv': Format('table', 'csv', 'a table: area, box, centre, confidence'),
  'parquet': Format('table', 'parquet', 'the same table'),
}


def writer(name: str, clip: clip_lib.Clip) -> clip_lib.Writer:
  """Returns the writer of a video in a format.

  Args:
    name: of the format.
    clip: the video.

  Raises:
    SavosError: the format needs a library that is not installed.
  """
  chosen = FORMATS[name]
  module = importlib.import_module(f'savos_jax.annotations.{chosen.module}')
  return getattr(module, chosen.maker)(clip)
