"""Finds the annotations to score against from a path given by the user.

The path may be the root of a data set or its folder of masks; frames are not
needed. This module also decides which sequences are scored.
"""

import dataclasses
import os
import pathlib

from savos_jax.datasets import davis
from savos_jax.datasets import frame_folder
from savos_jax.datasets import segtrack
from savos_jax.datasets import sequences
from savos_jax.datasets import youtube_vos
from savos_jax.evaluation import predictions
from savos_jax.foundation import errors

_DEFAULT_RESOLUTION = '480p'


@dataclasses.dataclass(frozen=True)
class Annotations:
  """Opened annotations.

  Attributes:
    videos: the records to score, without frames.
    folder: of the masks, with a folder for each sequence.
    root: of the data set, if `folder` is in its standard place.
    split: name of the list; 'all' without one.
    chosen_by: how the sequences were chosen, in words.
  """

  videos: list[sequences.Sequence]
  folder: pathlib.Path
  root: pathlib.Path
  split: str
  chosen_by: str


def open_annotations(
  path: str | os.PathLike,
  protocol: str,
  list_file: str | os.PathLike | None = None,
) -> Annotations:
  """Opens the annotations of a data set.

  Args:
    path: a data set's root, or its Annotations/<resolution> or GroundTruth.
    protocol: one of `rules.PROTOCOLS`.
    list_file: a sequence name on each line; None: the official list if the data
      set has one (val; for SegTrack all), otherwise all sequences present.

  Returns:
    The annotations.

  Raises:
    SavosError: the folder does not exist or is not the right one; a sequence of
      the list is missing; the masks are malformed.
  """
  path = pathlib.Path(path).expanduser()
  if not path.is_dir():
    raise errors.SavosError(
      f'{path}: no such folder.\n  Expected the annotations: the root of the '
      'data set, or the folder with a folder of masks for each sequence.'
    )
  is_segtrack = protocol == 'segtrack'
  folder = _segtrack_folder(path) if is_segtrack else _davis_folder(path)
  # A relative path may have no parent of its own.
  root = folder.resolve().parent
  if not is_segtrack and folder.resolve().name != 'Annotations':
    root = root.parent  # The folder is that of a resolution.
  official = _official_list(root, folder, protocol)
  used = pathlib.Path(list_file).expanduser() if list_file else official
  if used is None:
    names, split = _all_names(folder, is_segtrack), 'all'
    chosen_by = f'all sequences in {folder}'
  else:
    read = segtrack.read_names if is_segtrack else davis.read_image_list
    names, split = read(used), used.stem
    chosen_by = f'the list {used}'
    _check_names(folder, names, used)
  if is_segtrack:
    videos = segtrack.load_annotations(folder, names)
  else:
    kind = sequences.Sequence
    if protocol == 'youtube_vos':
      kind = youtube_vos.Video
    merge = protocol == 'davis2016'
    videos = davis.load_annotations(folder, names, merge, kind)
  return Annotations(videos, folder, root, split, chosen_by)


def _folders(path: pathlib.Path) -> list[pathlib.Path]:
  return [path / name for name in davis.folders(path)]


def _has_masks(path: pathlib.Path) -> bool:
  return frame_folder.holds(path, frame_folder.MASKS)


def _sequences(path: pathlib.Path) -> list[pathlib.Path]:
  return [child for child in _folders(path) if _has_masks(child)]


def _all_names(folder: pathlib.Path, is_segtrack: bool) -> list[str]:
  found = _folders(folder) if is_segtrack else _sequences(folder)
  return [child.name for child in found]


def _davis_folder(path: pathlib.Path) -> pathlib.Path:
  """Returns the folder that holds a folder of masks a sequence."""
  if (path / 'GroundTruth').is_dir():
    raise errors.SavosError(
      f'{path}: contains GroundTruth, like SegTrack v2.\n'
      '  Expected annotations of DAVIS; for SegTrack use --protocol=segtrack.'
    )
  base = path / 'Annotations'
  if not base.is_dir():
    if _sequences(path):
      return path
    raise _wrong_folder(path)
  if _sequences(base):
    return base
  choices = {child.name: child for child in _folders(base) if _sequences(child)}
  if len(choices) == 1:
    return next(iter(choices.values()))
  if _DEFAULT_RESOLUTION in choices:
    return choices[_DEFAULT_RESOLUTION]
  if choices:
    raise errors.SavosError(
      f'{base}: several resolutions: {", ".join(choices)}.\n'
      '  Expected one of them: give its folder, '
      f'{next(iter(choices.values()))}.'
    )
  raise errors.SavosError(
    f'{base}: no masks: {davis.listing(base)}.\n  Expected '
    f'{base / _DEFAULT_RESOLUTION}/<sequence>/00000.png ...'
  )


def _wrong_folder(path: pathlib.Path) -> errors.SavosError:
  resolved = path.resolve()
  if _has_masks(path):
    hint = (
      f'{resolved.parent} looks right: this is one sequence of it '
      '(--sequences scores a part)'
    )
  else:
    below = _folders(path)
    roots = [child for child in below if (child / 'Annotations').is_dir()]
    likely = roots + [child for child in below if _sequences(child)]
    hint = davis.listing(path)
    if likely:
      hint = f'{likely[0]} looks right'
    elif resolved.parent.name == 'JPEGImages' or path.name == 'JPEGImages':
      hint = 'these are the frames; the masks are in Annotations'
  return errors.SavosError(
    f'{path}: no annotations here.\n  Expected the root of a data set, or a '
    f'folder with a folder of PNG masks for each sequence; {hint}.'
  )


def _segtrack_folder(path: pathlib.Path) -> pathlib.Path:
  """Returns the folder GroundTruth."""
  if (path / 'GroundTruth').is_dir():
    return path / 'GroundTruth'
  if (path / 'Annotations').is_dir():
    raise errors.SavosError(
      f'{path}: contains Annotations, like DAVIS.\n'
      '  Expected SegTrack v2, with GroundTruth; for DAVIS use '
      '--protocol=davis2016 or davis2017.'
    )
  for child in _folders(path):
    if (child / 'GroundTruth').is_dir():
      raise errors.SavosError(
        f'{path}: no GroundTruth here.\n  {child} looks right.'
      )
  resolved = path.resolve()
  for parent in resolved.parents[:2]:
    if parent.name == 'GroundTruth':
      raise errors.SavosError(
        f'{path}: a part of {parent}.\n  {parent} looks right; --sequences '
        'scores a part.'
      )
  if not _folders(path) or path.name == 'JPEGImages':
    raise errors.SavosError(
      f'{path}: no GroundTruth here; {davis.listing(path)}.\n{segtrack.LAYOUT}'
    )
  return path


def _official_list(root, folder, protocol: str) -> pathlib.Path | None:
  """Returns the list that the official tools score, if it is there."""
  if protocol == 'segtrack':
    path = root / 'ImageSets' / 'all.txt'
    return path if path.is_file() else None
  # The videos of YouTube-VOS have no lists: these are in the layout of DAVIS.
  year = '2016' if protocol == 'davis2016' else '2017'
  try:
    return davis.image_list(root, year, folder.name, 'val')
  except errors.SavosError:
    return None


def _check_names(folder: pathlib.Path, names: list[str], used) -> None:
  absent = [name for name in names if not (folder / name).is_dir()]
  if not absent:
    return
  hint = 'Unpack them, or give --sequences a list without them.'
  if len(absent) == len(names):
    hint = predictions.looks_right(folder, names)
  raise errors.SavosError(
    f'{folder}: no annotations for {len(absent)} of {len(names)} sequences of '
    f'{used}: {predictions.shown(absent)}.\n  Expected a folder '
    f'{folder / absent[0]}. {hint}'
  )
