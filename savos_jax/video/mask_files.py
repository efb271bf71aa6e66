"""Masks for any frames of a video, from files given with frame names.

first.png                    of the first frame
120=fixed.png                of frame 120
120=cat.png 120=dog.png      of frame 120, a file an object
corrected/                   a folder of masks, each named as its frame is
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import logging
import pathlib

import numpy as np

from savos_jax.datasets import frame_folder
from savos_jax.foundation import errors
from savos_jax.video import first_masks
from savos_jax.video import marks as marks_lib
from savos_jax.video import sources

logger = logging.getLogger(__name__)

Read = Callable[[], np.ndarray]  # Labels, uint8 [H, W].


def split(text: str) -> tuple[str, pathlib.Path]:
  """Splits an argument into frame name ('': the first) and file or folder."""
  frame, equals, path = text.partition('=')
  if not equals or pathlib.Path(text).exists() or '/' in frame:
    return '', pathlib.Path(text)
  return frame, pathlib.Path(path)


def readers(
  video: sources.Video,
  texts: Sequence[str],
  *,
  colours: bool = False,
  resize: bool = False,
) -> dict[int, Read]:
  """Finds the masks in files; most are read later.

  Args:
    video: the video.
    texts: files or folders as above; several for one frame hold one object
      each.
    colours: see `first_masks.read`.
    resize: see there.

  Returns:
    Frame index -> function that reads its labels and may raise SavosError.

  Raises:
    SavosError: a frame does not exist, or several folders have a mask for it.
  """
  files: dict[int, list[pathlib.Path]] = {}
  sparse: dict[int, pathlib.Path] = {}
  for frame, path in map(split, texts):
    if path.is_dir():
      sparse |= _of_folder(video, frame, path)
    else:
      files.setdefault(video.find(frame) if frame else 0, []).append(path)
  twice = sorted(files.keys() & sparse.keys())
  if twice:
    raise errors.SavosError(
      f'{sparse[twice[0]]}: a mask of frame {video.names(twice[0])}, and so '
      f'is {files[twice[0]][0]}.\n'
      '  Expected one mask for each frame, or several files with an object '
      'each: leave one of them out.'
    )
  size = video.height, video.width
  given = {
    index: functools.partial(_labels, paths, size, colours, resize, False)
    for index, paths in files.items()
  }
  among_others = {
    index: functools.partial(_labels, [path], size, colours, resize, True)
    for index, path in sparse.items()
  }
  return {**given, **among_others}


def _labels(
  paths, size, colours: bool, resize: bool, empty: bool
) -> np.ndarray:
  labels, _ = first_masks.read(paths, size, colours, resize, empty)
  return labels


def _of_folder(
  video: sources.Video, frame: str, folder: pathlib.Path
) -> dict[int, pathlib.Path]:
  if frame:
    raise errors.SavosError(
      f'{folder}: a folder, as the mask of frame {frame}.\n  Expected a file; '
      'the masks in a folder are named as their frames are.'
    )
  found = frame_folder.read(folder, frame_folder.MASKS).values()
  if not found:
    raise errors.SavosError(
      f'{folder}: a folder without masks.\n  Expected PNG files, each named as '
      f'its frame is: {video.names(0)}.png, ...'
    )
  indices: dict[int, pathlib.Path] = {}
  for path in found:
    try:
      index = video.find(path.stem)
    except errors.SavosError as error:
      raise errors.SavosError(f'{path}: a mask of no frame: {error}') from None
    indices[index] = path
  return indices


def marks(found: dict[int, Read]) -> marks_lib.Marks:
  """Returns the marks of masks; each is read now and again on use.

  Args:
    found: from `readers` or other functions that read labels.

  Raises:
    SavosError: a mask cannot be read, or none has an object. An empty one among
      others marks nothing and causes a warning.
  """
  objects = {}
  for index, read in sorted(found.items()):
    ids = tuple(int(i) for i in np.unique(read()) if i)
    if ids:
      objects[index] = ids
  if not objects:
    raise errors.SavosError(
      'no mask of any frame.\n'
      '  Expected at least one: it defines what to follow.'
    )
  return marks_lib.Marks(objects, lambda index: found[index]())
