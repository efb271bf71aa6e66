"""SegTrack v2 from disk.

ROOT/
  JPEGImages/<sequence>/<frame>.{png,bmp,jpg}
  GroundTruth/<sequence>/<frame>.{png,bmp}            one object, or
  GroundTruth/<sequence>/<object>/<frame>.{png,bmp}   1, 2, ...
  ImageSets/all.txt           a sequence's name a line, an asterisk before it
  ImageSets/<sequence>.txt    the sequence's folder, then a frame's name a line

Extensions differ between frames and masks, and between the objects of one
sequence: files are found by their names. In a mask 255 is the object, and 1 to
254 are pixels where objects overlap: void, they count for nobody.
Li et al., "Video segmentation by tracking many figure-ground segments", 2013.
"""

import dataclasses
import pathlib

import numpy as np

from savos_jax.datasets import frame_folder
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import names as names_lib

LAYOUT = """\
Expected this layout (SegTrackv2.zip unpacks to it):

  ROOT/
    JPEGImages/<sequence>/<frame>.png    (or .bmp, .jpg)
    GroundTruth/<sequence>/<frame>.png   (several objects: <sequence>/1/, 2/)
    ImageSets/all.txt, <sequence>.txt

To get the data: https://web.engr.oregonstate.edu/~lif/SegTrack2/dataset.html.
Then: --config.data.root=/path/to/SegTrackv2"""


@dataclasses.dataclass(frozen=True)
class SegTrackSequence(sequences.Sequence):
  """A video with a separate mask for each object; they may overlap.

  `labels` merges them into one mask, in which later objects cover earlier ones;
  `truth` keeps them apart. `masks` are those of the first object.

  Attributes:
    objects: (id, mask files, one for each frame), ids ascending.
    in_folders: whether each object has a folder; otherwise there is only one
      object.
  """

  objects: tuple[tuple[int, tuple[pathlib.Path, ...]], ...] = ()
  in_folders: bool = False

  @property
  def protocol(self) -> str:
    """See `Sequence`."""
    return 'segtrack'

  @property
  def scored_ids(self) -> tuple[int, ...]:
    """Ids of the scored objects, including those that enter later."""
    return tuple(object_id for object_id, _ in self.objects)

  def object_name(self, object_id: int) -> str:
    """See `Sequence`."""
    return f'{self.name}_{object_id}' if self.in_folders else self.name

  def labels(self, index: int) -> np.ndarray:
    """Returns the labels of frame `index`, uint8 [H, W]; void is background.

    Raises:
      SavosError: a file is damaged, not a mask, or of another size.
    """
    labels = np.zeros((self.height, self.width), np.uint8)
    for object_id, mask, _ in self.truth(index).objects:
      labels[mask] = object_id
    return labels

  @property
  def only_given(self) -> bool:
    """See `Sequence`."""
    return len(self) == 1

  def truth(self, index: int) -> sequences.Truth:
    """See `Sequence`."""
    objects = []
    for object_id, paths in self.objects:
      mask, void = read_object_mask(paths[index])
      self.check_size(paths[index], mask)
      objects.append((object_id, mask, void))
    return sequences.Truth(tuple(objects), self.scored_ids)


def read_object_mask(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  """Reads the mask of one object: grey, or RGB with equal channels.

  Args:
    path: the mask file.

  Returns:
    The object and the void pixels, both bool [H, W].

  Raises:
    SavosError: not an image, damaged, in colour, or with 1 but not 255.
  """
  values = masks.read_frame(path)
  grey = values[..., 0]
  if (values != grey[..., None]).any():
    raise errors.SavosError(
      f'{path}: a picture in colours.\n  Expected the mask of one object in '
      'grey: 255 the object, 1 to 254 void. Unpack the data again.'
    )
  if grey.max(initial=0) == 1:
    raise errors.SavosError(
      f'{path}: a mask of 0 and 1.\n  Expected 255 for the object: in SegTrack '
      '1 to 254 are void, and nothing would be scored. Unpack the data again.'
    )
  return grey == 255, (grey > 0) & (grey < 255)


def _shown(names: list[str]) -> str:
  more = f' and {len(names) - 5} more' if len(names) > 5 else ''
  return ', '.join(names[:5]) + more


def _lines(path: pathlib.Path) -> list[str]:
  text = files.read_text(path)
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  if not lines:
    raise errors.SavosError(
      f'{path}: the image list is empty.\n  Expected a name on each line.'
    )
  return lines


def read_names(path: pathlib.Path) -> list[str]:
  """Reads the distinct sequence names of a list, without asterisks.

  Raises:
    SavosError: the list is unreadable or empty.
  """
  return list(
    dict.fromkeys(
      names_lib.check(line.lstrip('*').strip(), str(path))
      for line in _lines(path)
    )
  )


def _read_frame_list(path, name: str, truth: pathlib.Path):
  """Returns a sequence's folder and its frames' names, of `<sequence>.txt`.

  The names are None where there is no list.
  """
  if not path.is_file():
    return name, None
  first, *rest = _lines(path)
  folder = first.lstrip('*').strip().strip('/')
  for part in folder.split('/'):
    names_lib.check(part, f'{path}, line 1')
  if folder == name or (truth / folder).is_dir():
    if rest:
      return folder, list(dict.fromkeys(rest))
    raise errors.SavosError(
      f'{path}: names no frames.\n  Expected the folder in the first line, '
      f'then a frame a line. Unpack the data again, or remove {path.name}: '
      'then all frames of the folder are taken.'
    )
  raise errors.SavosError(
    f'{path}: the first line is {first!r}, and {truth / folder} is no folder.\n'
    f'  Expected the folder of the sequence, {name}, and then a frame a line.'
  )


def _files(folder: pathlib.Path, stems: list[str] | None) -> list[pathlib.Path]:
  """Returns the files of the frames that are asked for, or of all."""
  if not folder.is_dir():
    raise errors.SavosError(f'{folder}: no such folder.\n{LAYOUT}')
  found = frame_folder.read(folder, frame_folder.FRAMES)
  if not found:
    raise errors.SavosError(
      f'{folder}: no images.\n  Expected a {" or ".join(frame_folder.FRAMES)} '
      'file a frame. Unpack the data again.'
    )
  if not stems:
    return [*found.values()]
  keys = {stem: frame_folder.key(stem) for stem in stems}
  absent = [stem for stem, key in keys.items() if key not in found]
  if absent:
    raise errors.SavosError(
      f'{folder}: no file for {len(absent)} of {len(stems)} frames: '
      f'{_shown(absent)}.\n  Expected a file for every frame of the sequence '
      f'({_shown(stems)}); there are '
      f'{_shown([path.stem for path in found.values()])}. Unpack the data '
      'again.'
    )
  return [found[keys[stem]] for stem in stems]


def _object_folders(folder: pathlib.Path) -> dict[int, pathlib.Path]:
  """Maps object -> folder; empty where the masks lie in the folder itself."""
  if not folder.is_dir():
    raise errors.SavosError(
      f'{folder}: no such folder, but the image list names it.\n{LAYOUT}'
    )
  found = {}
  for path in folder.iterdir():
    if path.is_dir() and not path.name.startswith('.'):
      if not path.name.isdecimal() or not 1 <= int(path.name) < masks.VOID:
        raise errors.SavosError(
          f'{path}: a folder whose name is no number from 1 to 254.\n'
          '  Expected a folder an object: 1, 2, ... Move it away.'
        )
      found[int(path.name)] = path
  return dict(sorted(found.items()))


def _open_one(root: pathlib.Path, truth, name: str, with_frames: bool):
  folder, stems = _read_frame_list(
    root / 'ImageSets' / f'{name}.txt', name, truth
  )
  folders = _object_folders(truth / folder)
  objects = []
  for object_id, path in (folders or {1: truth / folder}).items():
    files = _files(path, stems)
    # The first object tells the frames where no list does.
    stems = stems or [file.stem for file in files]
    objects.append((object_id, tuple(files)))
  frames: tuple[pathlib.Path, ...] = ()
  if with_frames:
    frames = tuple(_files(root / 'JPEGImages' / folder, stems))
  height, width = masks.image_size((frames or objects[0][1])[0])
  opened = SegTrackSequence(
    name=name,
    frames=frames,
    masks=objects[0][1],
    height=height,
    width=width,
    object_ids=(),
    objects=tuple(objects),
    in_folders=bool(folders),
  )
  ids = tuple(int(i) for i in np.unique(opened.labels(0)) if i)
  if not ids:
    raise errors.SavosError(
      f'{opened.masks[0]}: the mask of the first frame is empty.\n'
      '  Expected an object: the first mask defines what to segment. Leave '
      f'{name} out of the image list.'
    )
  return dataclasses.replace(opened, object_ids=ids)


def load(
  root: str | pathlib.Path, split: str = 'all'
) -> list[sequences.Sequence]:
  """Opens the sequences of a list.

  Args:
    root: the folder with JPEGImages, GroundTruth and ImageSets.
    split: name of the list in ImageSets.

  Returns:
    One `SegTrackSequence` for each sequence, in the order of the list. Objects
    not visible in the first frame are scored but cannot be segmented.

  Raises:
    SavosError: anything is missing or malformed, as far as can be seen without
      reading every frame.
  """
  root = pathlib.Path(root).expanduser()
  for part in ('JPEGImages', 'GroundTruth', 'ImageSets'):
    if not (root / part).is_dir():
      raise errors.SavosError(
        f'{root}: not a SegTrack v2 folder: no {part}.\n{LAYOUT}'
      )
  path = root / 'ImageSets' / f'{split}.txt'
  if not path.is_file():
    raise errors.SavosError(
      f'{path}: no such list.\n  Set config.data.val_split to one that is '
      'there ("all").'
    )
  truth = root / 'GroundTruth'
  return [_open_one(root, truth, name, True) for name in read_names(path)]


def load_annotations(
  truth: str | pathlib.Path, names: list[str]
) -> list[sequences.Sequence]:
  """Opens masks without frames.

  Args:
    truth: the folder GroundTruth. If ImageSets is beside it, its lists define
      the frames.
    names: of the sequences.

  Returns:
    One `SegTrackSequence` for each sequence, without frames.

  Raises:
    SavosError: as `load`.
  """
  truth = pathlib.Path(truth)
  return [_open_one(truth.parent, truth, name, False) for name in names]
