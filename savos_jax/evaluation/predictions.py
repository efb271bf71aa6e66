"""What a method predicts: mask files, or labels from a callable.

  <results>/<sequence>/<frame>.png             ids, or 0/255 for one object
  <results>/<sequence>/<object>/<frame>.png    SegTrack, too: 0/255

Every check of a folder of results lives here.
"""

from collections.abc import Callable
import os
import pathlib

import numpy as np

from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors

# Frame index -> labels, uint8 [H, W].
Predicted = Callable[[int], np.ndarray]


def _has_object_folders(
  folder: pathlib.Path, sequence: sequences.Sequence
) -> bool:
  return sequence.protocol == 'segtrack' and any(
    (folder / sequence.name / str(object_id)).is_dir()
    for object_id in sequence.scored_ids
  )


def _paths(
  folder: pathlib.Path, sequence: sequences.Sequence, index: int
) -> list[pathlib.Path]:
  """Returns the file of a frame, or one a scored object."""
  file = f'{sequence.masks[index].stem}.png'
  if _has_object_folders(folder, sequence):
    return [
      folder / sequence.name / str(object_id) / file
      for object_id in sequence.scored_ids
    ]
  return [folder / sequence.name / file]


def by_object(
  sequence: sequences.Sequence,
  predicted: Predicted | str | os.PathLike,
  index: int,
) -> dict[int, np.ndarray]:
  """Returns the prediction for every scored object in one frame.

  Args:
    sequence: the video.
    predicted: frame index -> labels uint8 [H, W]; or a folder of results.
    index: of the frame.

  Returns:
    Id -> mask, bool [H, W].

  Raises:
    SavosError: a file is missing, damaged, no mask or of another size, or its
      values are not ids of the sequence.
  """
  if callable(predicted):
    source = (
      f'{sequence.name}, frame {sequence.masks[index].stem}: the prediction'
    )
    labels = np.asarray(predicted(index))
    if labels.ndim != 2:
      raise ValueError(f'predicted labels {labels.shape}: expected [H, W]')
  else:
    folder = pathlib.Path(predicted)
    paths = _paths(folder, sequence, index)
    if _has_object_folders(folder, sequence):
      return _separate(sequence, paths, index)
    source = str(paths[0])
    labels = _read_ids(paths[0], sequence)
  _check_size(sequence, source, labels, index)
  if sequence.merge_objects:
    return {1: labels > 0}
  _check_ids(sequence, source, labels)
  return {object_id: labels == object_id for object_id in sequence.scored_ids}


def _separate(sequence, paths, index) -> dict[int, np.ndarray]:
  found = {}
  for object_id, path in zip(sequence.scored_ids, paths, strict=True):
    labels = masks.read_mask(path)
    _check_size(sequence, path, labels, index)
    found[object_id] = labels > 0
  return found


def _read_ids(path: pathlib.Path, sequence: sequences.Sequence) -> np.ndarray:
  """Reads labels; 0/255 only where it is clear which object is meant."""
  labels = masks.read_mask(path)
  ids = sequence.scored_ids
  if sequence.merge_objects or labels.max(initial=0) != 1 or max(ids) == 1:
    return labels
  # Only here could 1 come of 255, for some other id.
  if not _is_0_and_255(path):
    return labels
  if len(ids) == 1:
    return labels * np.uint8(ids[0])
  raise errors.SavosError(
    f'{path}: a mask of 0 and 255, but {sequence.name} has {len(ids)} objects.'
    f'\n  Expected object ids, 0..{max(ids)}: 255 does not say which object is '
    'meant. Write each object under its id of the first frame '
    f'({sequence.masks[0]}); to score all objects as one, use '
    '--protocol=davis2016.'
  )


def _is_0_and_255(path: pathlib.Path) -> bool:
  image = masks.open_image(path)
  if image.mode == '1':
    return True
  values = np.asarray(image)
  values = values[..., 0] if image.mode == 'LA' else values
  return bool((values == masks.VOID).any())


def _check_size(sequence, source, labels, index) -> None:
  if labels.shape == (sequence.height, sequence.width):
    return
  raise errors.SavosError(
    f'{source}: {labels.shape[1]}x{labels.shape[0]} pixels (width x height).'
    f'\n  Expected {sequence.width}x{sequence.height}, as '
    f'{sequence.masks[index]}. Write predictions at the size of the '
    'annotations (resize labels with nearest neighbour), or score against '
    'the resolution that they were made at.'
  )


def _check_ids(sequence, source, labels) -> None:
  highest = max(sequence.scored_ids)
  found = int(labels.max(initial=0))
  if found > highest:
    raise errors.SavosError(
      f'{source}: holds object id {found}.\n'
      f'  Expected ids 0..{highest}, the objects of the first frame '
      f'({sequence.masks[0]}). Write each object under its id of the first '
      'frame, the rest as 0; to score all ids as one object, use the rules of '
      'DAVIS 2016.'
    )


def _holds(folder: pathlib.Path, names: list[str]) -> int:
  return sum((folder / name).is_dir() for name in names)


def looks_right(folder: pathlib.Path, names: list[str]) -> str:
  """Looks around for the folder that was meant, up to two levels away.

  Args:
    folder: that holds none of the sequences.
    names: of the sequences.

  Returns:
    A sentence that names it, or says what is in `folder`.
  """
  resolved = folder.resolve()
  near = [resolved.parent, resolved.parent.parent]
  for pattern in ('*/', '*/*/'):
    near += sorted(path for path in folder.glob(pattern) if path.is_dir())
  best = max(near, key=lambda path: _holds(path, names))
  count = _holds(best, names)
  if count:
    return f'{best} looks right: it holds {count} of {len(names)}.'
  return f'{davis.listing(folder)}.'


def check_folder(
  folder: pathlib.Path,
  videos: list[sequences.Sequence],
  frames_of: Callable[[sequences.Sequence], range],
) -> None:
  """Checks that every scored frame has a file, without opening any.

  Args:
    folder: the results.
    videos: what is scored.
    frames_of: video -> indices of the scored frames; the files of the others
      may be missing.

  Raises:
    SavosError: no such folder; a sequence or a frame is missing; masks of
      frames that the sequence does not have.
  """
  if not folder.is_dir():
    raise errors.SavosError(
      f'{folder}: no such folder.\n  Expected the results: one folder a '
      'sequence, one PNG a frame. Segment first, or correct the path.'
    )
  names = [video.name for video in videos]
  absent = [name for name in names if not (folder / name).is_dir()]
  if absent:
    raise errors.SavosError(
      f'{folder}: no results for {len(absent)} of {len(names)} sequences: '
      f'{shown(absent)}.\n'
      f'  Expected a folder {folder / absent[0]}. '
      + (
        looks_right(folder, names)
        if len(absent) == len(names)
        else 'Segment these sequences too, or score with an image list that '
        'leaves them out.'
      )
    )
  for video in videos:
    _check_files(folder, video, frames_of(video))


def shown(names: list[str]) -> str:
  """Names the first few, for an error message."""
  more = f' and {len(names) - 5} more' if len(names) > 5 else ''
  return ', '.join(names[:5]) + more


def _check_files(folder, video, frames: range) -> None:
  paths = [path for i in frames for path in _paths(folder, video, i)]
  # One listing a folder: to ask for each file is slow on network disks.
  held = {
    parent: {path.name for path in parent.glob('*.png')}
    for parent in dict.fromkeys(path.parent for path in paths)
  }
  missing = [path for path in paths if path.name not in held[path.parent]]
  if missing:
    raise errors.SavosError(
      f'{missing[0]}: no such file, one of {len(missing)} missing out of '
      f'{len(paths)} scored frames of {video.name}.\n'
      '  Expected one mask a frame, named as the annotation '
      f'({video.masks[frames[0]].stem}.png, ...); '
      f'{davis.listing(missing[0].parent)}. '
      'Segment the sequence again, or rename the files.'
    )
  known = {f'{path.stem}.png' for path in video.masks}
  for parent, files in held.items():
    extra = sorted(name for name in files - known if not name.startswith('.'))
    if extra:
      raise errors.SavosError(
        f'{parent}: {len(extra)} mask(s) of frames that {video.name} does not '
        f'have: {shown(extra)}.\n'
        f'  Expected the {len(known)} frames of {video.masks[0].parent} and no '
        'more: these results may be of another video or numbered otherwise. '
        'Remove the files, or segment the sequence again.'
      )
