"""The predictions of a method: mask files, or labels from a callable.

  <results>/<sequence>/<frame>.png             ids, or 0/255 for one object
  <results>/<sequence>/<object>/<frame>.png    SegTrack, too: 0/255

All checks of a results folder are here.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import pathlib

import numpy as np

from savos_jax.datasets import davis
from savos_jax.datasets import frame_folder
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors

# Frame index -> labels, uint8 [H, W].
Predicted = Callable[[int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Files:
  """The predicted masks of a sequence, as files.

  Attributes:
    sequence: the video.
    folders: object -> folder of its masks, or None -> folder of masks with all
      objects.
    found: object or None -> sort key of a frame -> file.
  """

  sequence: sequences.Sequence
  folders: Mapping[int | None, pathlib.Path]
  found: Mapping[int | None, Mapping[frame_folder.Key, pathlib.Path]]

  def path(self, index: int, object_id: int | None = None) -> pathlib.Path:
    """Returns the path for a frame, whether or not it exists."""
    name = self.sequence.frame_name(index)
    lacking = self.folders[object_id] / f'{name}.png'
    return self.found[object_id].get(frame_folder.key(name), lacking)


def open_files(
  folder: str | os.PathLike, sequence: sequences.Sequence
) -> Files:
  """Lists the masks of a sequence in a results folder, without opening them.

  Args:
    folder: the results.
    sequence: the video.

  Raises:
    SavosError: a frame has two masks.
  """
  path = pathlib.Path(folder) / sequence.name
  folders: dict[int | None, pathlib.Path] = {None: path}
  if sequence.protocol == 'segtrack':
    own: dict[int | None, pathlib.Path]
    own = {i: path / str(i) for i in sequence.scored_ids}
    folders = own if any(map(pathlib.Path.is_dir, own.values())) else folders
  found = {
    i: frame_folder.read(each, frame_folder.MASKS) if each.is_dir() else {}
    for i, each in folders.items()
  }
  return Files(sequence, folders, found)


def by_object(
  sequence: sequences.Sequence, predicted: Predicted | Files, index: int
) -> dict[int, np.ndarray]:
  """Returns the predicted mask of each scored object in a frame.

  Args:
    sequence: the video.
    predicted: frame index -> labels uint8 [H, W]; or files.
    index: of the frame.

  Returns:
    Id -> mask, bool [H, W].

  Raises:
    SavosError: a file is missing, damaged, not a mask or of another size, or
      its values are not ids of the sequence.
  """
  if isinstance(predicted, Files):
    if None not in predicted.folders:
      return _separate(predicted, index)
    path = predicted.path(index)
    source, labels = str(path), _read_ids(path, sequence)
  else:
    name = sequence.frame_name(index)
    source = f'{sequence.name}, frame {name}: the prediction'
    labels = np.asarray(predicted(index))
    if labels.ndim != 2:
      raise ValueError(f'predicted labels {labels.shape}: expected [H, W]')
  _check_size(sequence, source, labels, index)
  if sequence.merge_objects:
    return {1: labels > 0}
  _check_ids(sequence, source, labels)
  return {object_id: labels == object_id for object_id in sequence.scored_ids}


def _separate(predicted: Files, index: int) -> dict[int, np.ndarray]:
  found = {}
  for object_id in predicted.sequence.scored_ids:
    path = predicted.path(index, object_id)
    labels = masks.read_mask(path)
    _check_size(predicted.sequence, path, labels, index)
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
    f'{path}: a mask of 0 and 255, but {sequence.name} has {len(ids)} '
    'objects.\n'
    f'  Expected object ids, 0..{max(ids)}: 255 does not identify the object. '
    'Write each object under its id of the first frame '
    f'({_first_mask(sequence)}); to score all objects as one, use '
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
    f'{source}: {labels.shape[1]}x{labels.shape[0]} pixels (width x height).\n'
    f'  Expected {sequence.width}x{sequence.height}, as '
    f'{sequence.masks[index]}. Write predictions at the size of the '
    'annotations (resize labels with nearest neighbour), or score against the '
    'resolution they were made at.'
  )


def _first_mask(sequence: sequences.Sequence) -> pathlib.Path:
  return sequence.mask_file(sequence.annotated[0])


def _check_ids(sequence, source, labels) -> None:
  highest = max(sequence.scored_ids)
  found = int(labels.max(initial=0))
  # An object that the rules leave out may well have been segmented.
  if found > highest and not set(sequences.ids_of(labels)) <= {
    *range(highest + 1), *sequence.all_ids,
  }:  # fmt: skip
    raise errors.SavosError(
      f'{source}: holds object id {found}.\n'
      f'  Expected ids 0..{highest}, the objects of the first frame '
      f'({_first_mask(sequence)}). Write each object under its id of the first '
      'frame, the rest as 0; to score all ids as one object, use the rules of '
      'DAVIS 2016.'
    )


def _holds(folder: pathlib.Path, names: list[str]) -> int:
  return sum((folder / name).is_dir() for name in names)


def looks_right(folder: pathlib.Path, names: list[str]) -> str:
  """Looks for the folder that the user probably meant, up to two levels away.

  Args:
    folder: one without any of the sequences.
    names: of the sequences.

  Returns:
    A sentence that suggests it, or says what `folder` contains.
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


def open_folder(
  folder: pathlib.Path,
  videos: list[sequences.Sequence],
  frames_of: Callable[[sequences.Sequence], Sequence[int]],
) -> tuple[dict[str, Files], list[str]]:
  """Lists results and checks that every scored frame has a mask.

  Args:
    folder: the results.
    videos: the videos to score.
    frames_of: video -> indices of the scored frames; other masks may be
      missing.

  Returns:
    Name of each video with scored frames -> its files; and notes for the reader
    of the scores.

  Raises:
    SavosError: the folder does not exist; a sequence or a frame is missing or
      has two masks; there are masks of frames that the sequence lacks.
  """
  if not folder.is_dir():
    raise errors.SavosError(
      f'{folder}: no such folder.\n'
      '  Expected the results: one folder for each sequence, one PNG for each '
      'frame. Segment first, or correct the path.'
    )
  scored = {video.name: frames_of(video) for video in videos}
  videos = [video for video in videos if scored[video.name]]
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
  opened = {video.name: open_files(folder, video) for video in videos}
  extra = {}
  for name, files in opened.items():
    _check_missing(files, scored[name])
    count = _count_extra(files)
    if count:
      extra[name] = count
  if not extra:
    return opened, []
  return opened, [
    f'{sum(extra.values())} mask(s) of frames without an annotation are not '
    f'scored: {shown(list(extra))}'
  ]


def shown(names: list[str]) -> str:
  """Names the first few, for an error message."""
  more = f' and {len(names) - 5} more' if len(names) > 5 else ''
  return ', '.join(names[:5]) + more


def _check_missing(files: Files, frames: Sequence[int]) -> None:
  names = {i: frame_folder.key(files.sequence.frame_name(i)) for i in frames}
  missing = [
    files.path(i, object_id)
    for object_id, found in files.found.items()
    for i, key in names.items()
    if key not in found
  ]
  if missing:
    raise errors.SavosError(
      f'{missing[0]}: no such file, one of {len(missing)} missing out of '
      f'{len(names) * len(files.found)} scored frames of '
      f'{files.sequence.name}.\n'
      '  Expected one mask for each frame, named as the annotation '
      f'({files.sequence.frame_name(frames[0])}.png, ...); '
      f'{davis.listing(missing[0].parent)}. '
      'Segment the sequence again, or rename the files.'
    )


def _in_a_row(keys: Iterable[frame_folder.Key]) -> bool:
  """Whether names are of several frames without a gap, as far as they tell."""
  row = frame_folder.numbers(keys)
  return row is None or 1 < len(row) == row[-1] - row[0] + 1


def _count_extra(files: Files) -> int:
  """Counts masks of frames that nothing is known of.

  Raises:
    SavosError: some of the known frames have none: of another video, or
      numbered from 1 where the annotations are from 0.
  """
  video = files.sequence
  names = map(video.frame_name, range(len(video)))
  keys = dict.fromkeys(map(frame_folder.key, names))
  count = 0
  for object_id, found in files.found.items():
    extra = [path.name for key, path in found.items() if key not in keys]
    count += len(extra)
    if extra and _in_a_row(keys) and not keys.keys() <= found.keys():
      raise errors.SavosError(
        f'{files.folders[object_id]}: {len(extra)} mask(s) of frames that '
        f'{video.name} does not have: {shown(extra)}.\n'
        f'  Expected the {len(keys)} frames of {_first_mask(video).parent}; '
        'some have no mask: these results may be of another video or numbered '
        'otherwise. Remove the files, or segment the sequence again.'
      )
  return count
