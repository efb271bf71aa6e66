"""DAVIS 2016 and 2017 from disk.

ROOT/
  JPEGImages/<resolution>/<sequence>/00000.jpg ...
  Annotations/<resolution>/<sequence>/00000.png ...
  ImageSets/<year>/<split>.txt         a sequence's name a line, or
  ImageSets/<resolution>/<split>.txt   (2016 zip) a frame's and a mask's path

Or the layout of YouTube-VOS, MOSE and LVOS, with a folder for each split:

ROOT/<split>/JPEGImages/<sequence>/00000.jpg ...
ROOT/<split>/Annotations/<sequence>/00000.png ...
"""

import logging
import pathlib
import re

from savos_jax.datasets import frame_folder
from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import names as names_lib

logger = logging.getLogger(__name__)

LAYOUT = """\
Expected this layout (the zip files of DAVIS unpack to it):

  ROOT/
    JPEGImages/480p/<sequence>/00000.jpg ...
    Annotations/480p/<sequence>/00000.png ...
    ImageSets/2017/train.txt, val.txt     (or ImageSets/2016/...)

or, as YouTube-VOS, MOSE and LVOS unpack, a folder a split:

  ROOT/train/
    JPEGImages/<sequence>/00000.jpg ...
    Annotations/<sequence>/00000.png ...

To get the data: https://davischallenge.org/davis2017/code.html, file
"TrainVal - Images and Annotations (480p)"; DAVIS 2016 (a subset, one object a
sequence): https://davischallenge.org/davis2016/code.html. Then:

  --config.data.root=/path/to/DAVIS   (config.data.resolution names the folder)

Without data, `make demo` or --config=configs/demo.py runs on embedded clips."""

YEARS = ('2016', '2017')

# In the 2016 form: a folder or more, the sequence's, a file.
_IMAGE_PATH = re.compile(r'[^/]*/.*/[^/]+\.\w+')


def listing(folder: pathlib.Path) -> str:
  """Names some of what is in a folder, for an error message."""
  if not folder.is_dir():
    return f'{folder} is no folder'
  names = sorted(path.name for path in folder.iterdir())
  more = ', ...' if len(names) > 8 else ''
  return f'{folder} holds: {", ".join(names[:8]) or "nothing"}{more}'


def image_list(
  root: pathlib.Path, year: str, resolution: str, split: str
) -> pathlib.Path:
  """Returns the path of the image list of a split.

  Raises:
    SavosError: there is no such list.
  """
  candidates = [
    root / 'ImageSets' / year / f'{split}.txt',
    root / 'ImageSets' / resolution / f'{split}.txt',
  ]
  for path in candidates:
    if path.is_file():
      return path
  raise errors.SavosError(
    f'no image list for year {year}, split {split!r}; looked for\n'
    + ''.join(f'    {path}\n' for path in candidates)
    + f'  {listing(root / "ImageSets")}.\n'
    '  Set config.data.year and the split to an existing list.'
  )


def read_image_list(path: pathlib.Path) -> list[str]:
  """Reads the distinct sequence names of an image list, in order.

  Args:
    path: a text file. Each line is a name or, in the DAVIS 2016 zip, the paths
      of a frame and its mask, whose folder is the name.

  Returns:
    The names.

  Raises:
    SavosError: the list is unreadable or empty, or a line has neither form.
  """
  lines = files.read_text(path).splitlines()
  names: dict[str, None] = {}
  for number, line in enumerate(lines, 1):
    line = line.strip()
    if not line:
      continue
    where = f'{path}, line {number}'
    # A name may have spaces: the second path begins with a slash.
    paths = re.split(r'\s+(?=/)', line)
    if '/' not in line:
      names[names_lib.check(line, where)] = None
    elif len(paths) <= 2 and all(map(_IMAGE_PATH.fullmatch, paths)):
      folder = pathlib.PurePosixPath(paths[0]).parent.name
      names[names_lib.check(folder, where)] = None
    else:
      raise errors.SavosError(
        f'{path}, line {number}: {line!r}.\n'
        '  Expected a sequence name, or the 2016 form "/JPEGImages/480p/'
        'NAME/00000.jpg /Annotations/480p/NAME/00000.png".'
      )
  if not names:
    raise errors.SavosError(
      f'{path}: the image list is empty.\n'
      '  Expected a sequence name on each line.'
    )
  return list(names)


def _shown(names: list[str], count: int) -> str:
  return ', '.join(names) + (', ...' if count > len(names) else '')


def _files_of(folder: pathlib.Path, suffixes: tuple[str, ...], name: str):
  """Returns a sequence's images, key -> file; at least one."""
  if not folder.is_dir():
    raise errors.SavosError(
      f'{folder}: no such folder, but the image list names {name!r}.\n'
      f'  {listing(folder.parent)}.\n'
      '  Unpack the missing sequence, take the name off the list, or set '
      'config.data.resolution to an existing folder.'
    )
  found = frame_folder.read(folder, suffixes)
  if not found:
    raise errors.SavosError(
      f'{folder}: no images of {" or ".join(suffixes)}; {listing(folder)}.\n'
      '  Expected one file for each frame (00000.jpg ... and 00000.png ...).'
      + ('' if any(folder.iterdir()) else ' Unpack the data again.')
    )
  return found


def _note_gaps(folder: pathlib.Path, files: dict, so: str) -> None:
  """Says which files a row of numbers lacks; it is taken as it is.

  Args:
    folder: that they are in.
    files: key -> file.
    so: what comes of it.
  """
  row = frame_folder.numbers(files)
  count, some = frame_folder.gaps(row or [])
  if count:
    stems = [path.stem for path in files.values()]
    names = [str(n).zfill(len(stems[0])) for n in some]
    logger.warning(
      '%s: %d file(s) missing between %s and %s: %s. %s',
      folder, count, stems[0], stems[-1], _shown(names, count), so,
    )  # fmt: skip


def _note_unannotated(folder: pathlib.Path, frames: dict, mask_files) -> None:
  """Says which masks are missing, unless they are regularly: every fifth."""
  places = [i for i, path in enumerate(mask_files) if path is not None]
  # The end, too: annotations may have been cut off.
  count, some = frame_folder.gaps([*places, len(mask_files)])
  if count:
    stems = [path.stem for path in frames.values()]
    logger.warning(
      '%s: no mask for %d of %d frames: %s. They are neither scored nor '
      'trained on',
      folder, count, len(frames), _shown([stems[i] for i in some], count),
    )  # fmt: skip


def _open_one(
  images: pathlib.Path,
  annotations: pathlib.Path,
  name: str,
  merge_objects: bool,
  kind: type[sequences.Sequence],
) -> sequences.Sequence:
  frames = _files_of(images / name, frame_folder.FRAMES, name)
  found = _files_of(annotations / name, frame_folder.MASKS, name)
  absent = [path.stem for key, path in found.items() if key not in frames]
  if absent:
    raise errors.SavosError(
      f'{images / name}: no frame for {len(absent)} of {len(found)} masks: '
      f'{_shown(absent[:5], len(absent))}.\n'
      f'  Expected a frame for each mask in {annotations / name}. Unpack the '
      'data again.'
    )
  mask_files = [found.get(key) for key in frames]
  _note_gaps(
    images / name, frames, 'It goes from each frame to the next that is there'
  )
  _note_unannotated(annotations / name, frames, mask_files)
  return sequences.open_sequence(
    name, list(frames.values()), mask_files, merge_objects, kind
  )


def folders(path: pathlib.Path) -> list[str]:
  """Returns the names of the visible folders in a folder, sorted."""
  return sorted(
    child.name
    for child in path.iterdir()
    if child.is_dir() and not child.name.startswith('.')
  )


def _check_parts(root: pathlib.Path, parts: tuple[str, ...]) -> None:
  for part in parts:
    if not (root / part).is_dir():
      raise errors.SavosError(
        f'{root}: not a DAVIS folder: {listing(root)}; no {part}.\n{LAYOUT}'
      )


def _find(
  root: pathlib.Path, split: str, year: str, resolution: str
) -> tuple[pathlib.Path, pathlib.Path, list[str]]:
  """Returns the folders of frames and of masks, and a split's sequences."""
  part = root / split
  if (part / 'JPEGImages').is_dir() and (part / 'Annotations').is_dir():
    annotations = part / 'Annotations'
    names = folders(annotations)
    if not names:
      raise errors.SavosError(
        f'{annotations}: {listing(annotations)}.\n'
        '  Expected a folder of masks for each sequence. Unpack the data '
        'again.'
      )
    return part / 'JPEGImages', annotations, names
  _check_parts(root, ('JPEGImages', 'Annotations', 'ImageSets'))
  images, annotations = (
    root / part / resolution for part in ('JPEGImages', 'Annotations')
  )
  for folder in (images, annotations):
    if not folder.is_dir():
      raise errors.SavosError(
        f'{folder}: no such folder; {listing(folder.parent)}.\n'
        '  Set config.data.resolution to one of them.'
      )
  names = read_image_list(image_list(root, year, resolution, split))
  return images, annotations, names


def load(
  root: str | pathlib.Path,
  split: str,
  year: str = '2017',
  resolution: str = '480p',
  kind: type[sequences.Sequence] = sequences.Sequence,
) -> list[sequences.Sequence]:
  """Opens a split of DAVIS, or of a data set laid out like YouTube-VOS.

  Frames and masks may be sparse, for example every fifth, and frames without a
  mask are kept. Gaps in an otherwise regular sequence are logged.

  Args:
    root: the folder with JPEGImages, Annotations and ImageSets, or with a
      folder for each split that has JPEGImages and Annotations.
    split: name of the image list, 'train', 'val', ..., or of the folder.
    year: '2016' (all ids are one object) or '2017' (each id is an object).
    resolution: folder in JPEGImages and Annotations: '480p', '1080p',
      'Full-Resolution', ...; ignored if splits are folders.
    kind: class of the records to make.

  Returns:
    One record for each sequence, in the order of the list.

  Raises:
    SavosError: anything is missing or malformed, as far as can be seen without
      reading every frame; the rest is reported by `Sequence.frame` and
      `.labels`.
  """
  root = pathlib.Path(root).expanduser()
  if year not in YEARS:
    raise errors.SavosError(
      f'config.data.year is {year!r}.\n  Expected one of {YEARS}.'
    )
  images, annotations, names = _find(root, split, year, resolution)
  return [
    _open_one(images, annotations, name, year == '2016', kind) for name in names
  ]


def load_annotations(
  folder: str | pathlib.Path,
  names: list[str],
  merge_objects: bool,
  kind: type[sequences.Sequence] = sequences.Sequence,
) -> list[sequences.Sequence]:
  """Opens masks without frames.

  Args:
    folder: holds `<sequence>/00000.png ...`: Annotations/480p.
    names: of the sequences.
    merge_objects: see `sequences.Sequence`.
    kind: class of the records.

  Returns:
    One record for each sequence, without frames.

  Raises:
    SavosError: as `load`.
  """
  opened = []
  for name in names:
    path = pathlib.Path(folder) / name
    files = _files_of(path, frame_folder.MASKS, name)
    _note_gaps(path, files, 'They are not scored')
    opened.append(
      sequences.open_sequence(
        name, [], list(files.values()), merge_objects, kind
      )
    )
  return opened
