"""DAVIS 2016 and 2017 from disk.

ROOT/
  JPEGImages/<resolution>/<sequence>/00000.jpg ...
  Annotations/<resolution>/<sequence>/00000.png ...
  ImageSets/<year>/<split>.txt         a sequence's name a line, or
  ImageSets/<resolution>/<split>.txt   (2016 zip) a frame's and a mask's path
"""

import math
import pathlib
import re

from savos_jax.datasets import sequences
from savos_jax.foundation import errors
from savos_jax.foundation import names as names_lib

LAYOUT = """\
Expected this layout (the zip files of DAVIS unpack to it):

  ROOT/
    JPEGImages/480p/<sequence>/00000.jpg ...
    Annotations/480p/<sequence>/00000.png ...
    ImageSets/2017/train.txt, val.txt     (or ImageSets/2016/...)

To get the data: https://davischallenge.org/davis2017/code.html, file
"TrainVal - Images and Annotations (480p)"; DAVIS 2016 (a subset, one object a
sequence): https://davischallenge.org/davis2016/code.html. Then:

  --config.data.root=/path/to/DAVIS   (config.data.resolution names the folder)

Without data, `make demo` or --config=configs/demo.py runs on embedded clips."""

YEARS = ('2016', '2017')
_FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png')
_MASK_SUFFIXES = ('.png',)

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
  """Returns the path of a split's list.

  Raises:
    SavosError: there is none.
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
    '  Set config.data.year and the split to a list that is there.'
  )


def read_image_list(path: pathlib.Path) -> list[str]:
  """Reads the sequence names of an image list, in order, each once.

  Args:
    path: a text file; a line is a name, or (DAVIS 2016 zip) a frame's path
      and its mask's path, whose folder names the sequence.

  Returns:
    The names.

  Raises:
    SavosError: the list is unreadable, empty, or a line is of neither form.
  """
  try:
    # Some editors begin a file with a byte order mark.
    lines = path.read_text('utf-8-sig').splitlines()
  except (OSError, UnicodeDecodeError) as error:
    raise errors.SavosError(f'{path}: unreadable image list: {error}') from None
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
      f'{path}: the image list is empty.\n  Expected a sequence name a line.'
    )
  return list(names)


def _files(folder: pathlib.Path, suffixes: tuple[str, ...]) -> dict:
  """Maps stem -> file for the visible images of a folder, in order of time.

  Numbers sort by value: 2 comes before 10, also where no zeros are padded.
  """
  found = {
    path.stem: path
    for path in folder.iterdir()
    if path.suffix.lower() in suffixes and not path.name.startswith('.')
  }
  return {
    stem: found[stem]
    for stem in sorted(
      found, key=lambda s: (int(s) if s.isdecimal() else math.inf, s)
    )
  }


def _check_numbering(folder: pathlib.Path, stems: list[str]) -> None:
  if not all(stem.isdecimal() for stem in stems):
    return
  numbers = [int(stem) for stem in stems]
  absent = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
  if absent:
    shown = ', '.join(str(n).zfill(len(stems[0])) for n in absent[:5])
    raise errors.SavosError(
      f'{folder}: {len(absent)} frame(s) missing between {stems[0]} and '
      f'{stems[-1]}: {shown}{", ..." if len(absent) > 5 else ""}.\n'
      '  Expected consecutive numbers: the tracker goes from frame to frame. '
      'Unpack the data again.'
    )


def _files_of(folder: pathlib.Path, suffixes: tuple[str, ...], name: str):
  """Returns a sequence's images, stem -> file; at least one."""
  if not folder.is_dir():
    raise errors.SavosError(
      f'{folder}: no such folder, but the image list names {name!r}.\n'
      f'  {listing(folder.parent)}.\n'
      '  Unpack the missing sequence, take the name off the list, or set '
      'config.data.resolution to a folder that is there.'
    )
  found = _files(folder, suffixes)
  if not found:
    raise errors.SavosError(
      f'{folder}: no images.\n  Expected one file a frame (00000.jpg ... and '
      '00000.png ...). Unpack the data again.'
    )
  return found


def _open_one(
  root: pathlib.Path, resolution: str, name: str, merge_objects: bool
) -> sequences.Sequence:
  image_folder = root / 'JPEGImages' / resolution / name
  mask_folder = root / 'Annotations' / resolution / name
  frames = _files_of(image_folder, _FRAME_SUFFIXES, name)
  mask_files = _files_of(mask_folder, _MASK_SUFFIXES, name)
  for have, lack, folder, kind in (
    (frames, mask_files, mask_folder, 'mask'),
    (mask_files, frames, image_folder, 'frame'),
  ):
    absent = [stem for stem in have if stem not in lack]
    if absent:
      raise errors.SavosError(
        f'{folder}: no {kind} for {len(absent)} of {len(have)} files: '
        f'{", ".join(absent[:5])}{", ..." if len(absent) > 5 else ""}.\n'
        f'  Expected one {kind} file for each in '
        f'{next(iter(have.values())).parent}. Unpack the data again.'
      )
  _check_numbering(image_folder, list(frames))
  return sequences.open_sequence(
    name, list(frames.values()), list(mask_files.values()), merge_objects
  )


def load(
  root: str | pathlib.Path,
  split: str,
  year: str = '2017',
  resolution: str = '480p',
) -> list[sequences.Sequence]:
  """Opens a split of DAVIS.

  Args:
    root: the folder with JPEGImages, Annotations and ImageSets.
    split: name of the image list: 'train', 'val', ...
    year: '2016' (all ids are one object) or '2017' (each id is an object).
    resolution: folder below JPEGImages and Annotations: '480p', '1080p',
      'Full-Resolution', ...

  Returns:
    One record a sequence, in the list's order.

  Raises:
    SavosError: anything missing or malformed that shows without reading every
      frame; the rest shows when `Sequence.frame` or `.labels` reads it.
  """
  root = pathlib.Path(root).expanduser()
  if year not in YEARS:
    raise errors.SavosError(
      f'config.data.year is {year!r}.\n  Expected one of {YEARS}.'
    )
  for part in ('JPEGImages', 'Annotations', 'ImageSets'):
    if not (root / part).is_dir():
      raise errors.SavosError(
        f'{root}: not a DAVIS folder: {listing(root)}; no {part}.\n{LAYOUT}'
      )
  for part in ('JPEGImages', 'Annotations'):
    if not (root / part / resolution).is_dir():
      raise errors.SavosError(
        f'{root / part / resolution}: no such folder; '
        f'{listing(root / part)}.\n'
        '  Set config.data.resolution to one that is there.'
      )
  names = read_image_list(image_list(root, year, resolution, split))
  return [
    _open_one(root, resolution, name, merge_objects=year == '2016')
    for name in names
  ]


def load_annotations(
  folder: str | pathlib.Path, names: list[str], merge_objects: bool
) -> list[sequences.Sequence]:
  """Opens masks alone; frames are not looked for.

  Args:
    folder: holds `<sequence>/00000.png ...`: Annotations/480p.
    names: of the sequences.
    merge_objects: see `sequences.Sequence`.

  Returns:
    One record a sequence, without frames.

  Raises:
    SavosError: as `load`.
  """
  opened = []
  for name in names:
    mask_files = _files_of(pathlib.Path(folder) / name, _MASK_SUFFIXES, name)
    _check_numbering(pathlib.Path(folder) / name, list(mask_files))
    opened.append(
      sequences.open_sequence(
        name, [], list(mask_files.values()), merge_objects
      )
    )
  return opened
