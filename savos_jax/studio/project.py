"""A project: a folder of plain files, written as the user works.

project.json     the video, the objects, and what else the page shows again
marks/           what a person drew: an indexed PNG a frame
masks/           the masks of all frames that have some: an indexed PNG each
confidence.csv   how sure they are
video/           the copied video
exports/         what was exported

and hidden, besides the files of every results folder: .predicted/ (predictions
in frames that were marked later), .computed.jsonl (what each mask depends on),
.states/ and .frames/ (caches, which may be deleted). `marks/` is authoritative:
files may be added to and removed from it while no program is using it.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
import threading
from typing import Any

import numpy as np

from savos_jax.datasets import frame_folder
from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import json_files
from savos_jax.foundation import manifests
from savos_jax.pictures import overlay
from savos_jax.studio import chains
from savos_jax.video import sources

logger = logging.getLogger(__name__)

FILE = 'project.json'
VERSION = 1
MOST_OBJECTS = 254
_MOST_NAME = 200  # Characters.
_HASHED = 1 << 20  # Bytes at either end of a video, and in its middle.
_FORM = {
  'version': int,
  'video': (
    {
      'name': str,
      'path': str,
      'frames': int,
      'width': int,
      'height': int,
      'fps?': (float, None),
      'fingerprint': str,
    },
    None,
  ),
  'objects': [{'id': int, 'name': str, 'color': str, 'until?': (int, None)}],
  'marks': {str: [int]},
  'settings': {str: str},
  'next_id?': int,
}


@dataclasses.dataclass(frozen=True)
class Object:
  """An object to follow.

  Attributes:
    id: its label, 1..254.
    name: its name.
    color: '#rrggbb'.
    until: the first frame in which it is no longer followed; None: none.
  """

  id: int
  name: str
  color: str
  until: int | None = None

  @property
  def rgb(self) -> tuple[int, int, int]:
    """Its color, components 0..255."""
    red, green, blue = bytes.fromhex(self.color[1:])
    return red, green, blue


def fingerprint(path: pathlib.Path) -> str:
  """Returns a value that identifies a video, without reading all of it.

  Args:
    path: a file, or a folder of images.

  Raises:
    OSError: it cannot be read.
    SavosError: it is neither.
  """
  digest = hashlib.sha256()
  if not (path.is_file() or path.is_dir()):  # A pipe would be waited for.
    raise errors.SavosError(
      f'{path}: neither a file nor a folder.\n  Expected a video.'
    )
  if path.is_dir():
    for image in frame_folder.read(path, frame_folder.FRAMES).values():
      digest.update(f'{image.name} {image.stat().st_size}\n'.encode())
    return digest.hexdigest()[:32]
  size = path.stat().st_size
  digest.update(f'{size}\n'.encode())
  with path.open('rb') as file:
    for start in (0, size // 2, size - _HASHED):
      file.seek(max(0, start))
      digest.update(file.read(_HASHED))
  return digest.hexdigest()[:32]


def no_video() -> errors.SavosError:
  """Returns the error for operations that need a video."""
  return errors.SavosError(
    'the project has no video yet.\n  Expected one: drop it on the page.'
  )


def _colour(object_id: int) -> str:
  return '#{:02x}{:02x}{:02x}'.format(*overlay.colour(object_id))


class Project:
  """The state of a project; threads may share it.

  Attributes:
    folder: the folder, claimed by this process (`files.claimed`).
    video: the video; None: not chosen yet.
    fingerprint: of the video.
    settings: how masks are computed; recorded to detect changes.
    gone: frames whose marks are listed in project.json but missing.
    lock: held during changes.
  """

  def __init__(self, folder: pathlib.Path, manifest: manifests.Manifest):
    """Opens an empty folder or a project.

    Args:
      folder: claimed by this process.
      manifest: of it.

    Raises:
      SavosError: it is damaged or of another version, or its video was moved or
        changed.
    """
    self.folder = folder
    self.video: sources.Video | None = None
    self.fingerprint = ''
    self.settings: dict[str, str] = {}
    self.gone: tuple[int, ...] = ()
    self.lock = threading.RLock()
    self._objects: dict[int, Object] = {}
    self._told: dict[int, chains.Told] = {}
    self._next_id = 1
    self._count = 0
    self._stored = _read(folder / FILE)
    if self._stored:
      # It was read and found right: so it may be replaced, edited or not.
      manifest.record(folder / FILE, folder / FILE)

  def open(self, video: pathlib.Path | None) -> None:
    """Resumes the project in the folder, or begins one with a video.

    Args:
      video: the requested one; None: that of the project, if any.

    Raises:
      SavosError: see above.
    """
    stored = self._stored
    if not stored or not stored['video']:
      if video:
        self.begin(video)
      return
    told = stored['video']
    path = video or self.folder / told['path']
    if not path.exists():
      raise errors.SavosError(
        f'{path}: no such file: the video of {self.folder / FILE}.\n'
        '  Expected it in its place: put it back, or give its new path.'
      )
    found = fingerprint(path)
    if found != told['fingerprint']:
      raise errors.SavosError(
        f'{path}: another video than that of {self.folder / FILE}, or changed '
        'since.\n'
        '  Expected the marked video: put it back, or name another --out for '
        'this one.'
      )
    self._open_video(path, found)
    self.settings = dict(stored['settings'])
    self._objects = {o['id']: Object(**o) for o in stored['objects']}
    highest = max(self._objects, default=0)
    self._next_id = max(stored.get('next_id', 1), highest + 1)
    self._read_marks(stored['marks'])
    if video:
      self.save()

  def begin(self, path: pathlib.Path) -> None:
    """Sets the video.

    Raises:
      SavosError: it cannot be read.
    """
    if not path.exists():
      raise errors.SavosError(
        f'{path}: no such file.\n'
        '  Expected a video file, or a folder with one image for each frame.'
      )
    with self.lock:
      self._open_video(path, fingerprint(path))
      self.save()

  def _open_video(self, path: pathlib.Path, found: str) -> None:
    video = sources.open_video(path)
    self._count = video.count()
    self._places = {video.names(i): i for i in range(self._count)}
    self.video, self.fingerprint = video, found

  @property
  def opened(self) -> sources.Video:
    """The video.

    Raises:
      SavosError: there is none yet.
    """
    if self.video is None:
      raise no_video()
    return self.video

  @property
  def count(self) -> int:
    """Number of frames of the video."""
    return self._count

  def check_frame(self, index: int) -> None:
    """Raises SavosError if the video has no such frame."""
    if not 0 <= index < self._count:
      raise errors.SavosError(
        f'no frame {index}.\n  Expected one of {self._count}, 0 to '
        f'{self._count - 1}.'
      )

  # --- Objects. --------------------------------------------------------------

  @property
  def objects(self) -> tuple[Object, ...]:
    """The objects, by id."""
    return tuple(self._objects[i] for i in sorted(self._objects))

  def add_object(self, name: str | None, color: str | None) -> Object:
    """Adds an object.

    Args:
      name: its name; None: such as 'object 3'.
      color: '#rrggbb'; None: the next unused one.

    Raises:
      SavosError: there are too many, or name or color is invalid.
    """
    with self.lock:
      if self._next_id > MOST_OBJECTS:
        raise errors.SavosError(
          f'object {self._next_id}.\n'
          f'  Expected at most {MOST_OBJECTS} in a project, including removed '
          'ones.'
        )
      return self._add_object(self._next_id, name, color)

  def _add_object(
    self, object_id: int, name: str | None = None, color: str | None = None
  ) -> Object:
    made = Object(
      object_id,
      _checked_name(name or f'object {object_id}'),
      _checked_colour(color or _colour(object_id)),
    )
    self._objects[object_id] = made
    self._next_id = max(self._next_id, object_id + 1)
    self.save()
    return made

  def object(self, object_id: int) -> Object:
    """Returns an object.

    Raises:
      SavosError: there is no such object.
    """
    if object_id not in self._objects:
      raise errors.SavosError(
        f'no object {object_id}.\n  Expected one of '
        f'{sorted(self._objects) or "none: there are none yet"}.'
      )
    return self._objects[object_id]

  def change_object(self, object_id: int, changes: Mapping[str, Any]) -> Object:
    """Changes name, color or until of an object.

    Raises:
      SavosError: there is no such object, or a value is invalid.
    """
    with self.lock:
      found = self.object(object_id)
      if 'name' in changes:
        found = dataclasses.replace(found, name=_checked_name(changes['name']))
      if 'color' in changes:
        color = _checked_colour(changes['color'])
        found = dataclasses.replace(found, color=color)
      if 'until' in changes:
        until = changes['until']
        if until is not None:
          self.check_frame(until)
        found = dataclasses.replace(found, until=until)
      self._objects[object_id] = found
      self.save()
      return found

  def remove_object(self, object_id: int) -> tuple[int, ...]:
    """Removes an object, also from the marks.

    Returns:
      The frames whose marks changed or were removed.

    Raises:
      SavosError: there is no such object, or a mark belongs to somebody else.
    """
    with self.lock:
      self.object(object_id)
      touched = tuple(
        i for i, told in self._told.items() if object_id in told.all_ids
      )
      for index in touched:
        told = self._told[index]
        left = [i for i in told.all_ids if i != object_id]
        if left:
          self._write_mark(index, chains.told(told.labels(), left))
        else:
          self._remove_mark(index)
      del self._objects[object_id]
      self.save()
      return touched

  @property
  def until(self) -> dict[int, int]:
    """Object -> the first frame in which it is no longer followed."""
    return {o.id: o.until for o in self.objects if o.until is not None}

  # --- Marks. ----------------------------------------------------------------

  @property
  def told(self) -> dict[int, chains.Told]:
    """Frame index -> mark; a copy."""
    with self.lock:
      return dict(self._told)

  def mark(self, index: int, labels: np.ndarray, ids: Iterable[int]) -> None:
    """Stores the mark of a frame, replacing an earlier one.

    Args:
      index: of the frame.
      labels: uint8 [H, W].
      ids: the marked objects; those without a pixel are not visible, and pixels
        of others are dropped.

    Raises:
      SavosError: the frame or an object does not exist, the size differs, or no
        object is named.
    """
    video = self.opened
    self.check_frame(index)
    if labels.shape != (video.height, video.width):
      raise errors.SavosError(
        f'a mark of {labels.shape[1]}x{labels.shape[0]} pixels.\n'
        f'  Expected {video.width}x{video.height}, as the video has.'
      )
    with self.lock:
      for object_id in ids:
        self.object(object_id)
      told = chains.told(labels, ids)
      if not told.all_ids:
        raise errors.SavosError(
          'a mark without objects.\n  Expected at least one.'
        )
      self._write_mark(index, told)
      self.save()

  def unmark(self, index: int) -> None:
    """Removes a frame's mark, if it has one.

    Raises:
      SavosError: the frame does not exist, or the file belongs to somebody
        else.
    """
    self.check_frame(index)
    with self.lock:
      if index in self._told:
        self._remove_mark(index)
        self.save()

  def mark_path(self, index: int) -> pathlib.Path:
    """Returns the path of a frame's mark."""
    return self.folder / 'marks' / f'{self.opened.names(index)}.png'

  def _write_mark(self, index: int, told: chains.Told) -> None:
    with files.replacing(self.mark_path(index)) as partial:
      partial.write_bytes(told.png)
    self._told[index] = told

  def _remove_mark(self, index: int) -> None:
    path = self.mark_path(index)
    manifest = manifests.of(path)
    if manifest:
      manifest.check([path])
    path.unlink(missing_ok=True)
    del self._told[index]

  def _read_marks(self, listed: Mapping[str, list[int]]) -> None:
    """Reads all marks; the folder tells which there are."""
    video = self.opened
    for path in sorted((self.folder / 'marks').glob('*.png')):
      if path.name.startswith('.') or path.stem not in self._places:
        continue
      index = self._places[path.stem]
      labels = masks.read_mask(path)
      if labels.shape != (video.height, video.width):
        raise errors.SavosError(
          f'{path}: {labels.shape[1]}x{labels.shape[0]} pixels.\n'
          f'  Expected {video.width}x{video.height}, as the video has.'
        )
      seen = {int(i) for i in np.unique(labels) if i}
      for object_id in sorted(seen - self._objects.keys()):
        self._add_object(object_id)
      told = {i for i in listed.get(str(index), ()) if i in self._objects}
      if seen | told:
        self._told[index] = chains.told(labels, seen | told)
    known = {int(key) for key in listed if key.isdecimal() and len(key) < 12}
    self.gone = tuple(
      i for i in sorted(known - {*self._told}) if i < self._count
    )

  # --- All of it. ------------------------------------------------------------

  def save(self) -> None:
    """Writes project.json.

    Raises:
      SavosError: it cannot be written, or belongs to somebody else.
    """
    with self.lock:
      text = json.dumps(self._as_json(), indent=1)
      with files.replacing(self.folder / FILE) as partial:
        partial.write_text(text + '\n', 'utf-8')

  def _as_json(self) -> dict[str, Any]:
    return {
      'version': VERSION,
      'video': self.video and {
        'name': self.video.path.name,
        'path': self._relative(self.video.path),
        'frames': self._count,
        'width': self.video.width,
        'height': self.video.height,
        'fps': self.video.fps,
        'fingerprint': self.fingerprint,
      },
      'objects': [dataclasses.asdict(each) for each in self.objects],
      'marks': {str(i): list(t.all_ids) for i, t in sorted(self._told.items())},
      'settings': self.settings,
      'next_id': self._next_id,
    }  # fmt: skip

  def _relative(self, path: pathlib.Path) -> str:
    real, folder = path.resolve(), self.folder.resolve()
    if folder in real.parents:
      return os.path.relpath(real, folder)
    return str(real)


def _read(path: pathlib.Path) -> dict[str, Any] | None:
  """Reads project.json; None where there is none.

  Raises:
    SavosError: it is damaged, or of another version.
  """
  if not os.path.lexists(path):
    return None
  stored = json_files.read(
    path,
    'Expected the file that the studio wrote. marks/ and masks/ beside it are '
    'intact: move the damaged file away, begin a project with the same video '
    'in another --out, and copy marks/ into it.',
    {'version': int},
  )
  if stored['version'] != VERSION:
    raise errors.SavosError(
      f'{path}: version {stored["version"]}.\n'
      f'  Expected {VERSION}: open it with the version that wrote it, or name '
      'another --out.'
    )
  found = json_files.read(
    path, 'Expected the file that the studio wrote.', _FORM
  )
  for each in found['objects']:
    if not 1 <= each['id'] <= MOST_OBJECTS:
      raise errors.SavosError(
        f'{path}: object {each["id"]}.\n  Expected ids from 1 to '
        f'{MOST_OBJECTS}.'
      )
    _checked_colour(each['color'])
  return found


def _checked_name(name: Any) -> str:
  if not isinstance(name, str) or not 0 < len(name.strip()) <= _MOST_NAME:
    raise errors.SavosError(
      f'the name {str(name)[:40]!r}.\n  Expected 1 to {_MOST_NAME} characters.'
    )
  return name.strip()


def _checked_colour(color: Any) -> str:
  if not isinstance(color, str) or len(color) != 7 or color[0] != '#':
    valid = False
  else:
    valid = all(c in '0123456789abcdefABCDEF' for c in color[1:])
  if not valid:
    raise errors.SavosError(
      f'the color {str(color)[:40]!r}.\n  Expected #rrggbb.'
    )
  return color.lower()
