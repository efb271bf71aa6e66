"""Exports the masks of a project into exports/."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import pathlib
import zipfile

import numpy as np

from savos_jax.annotations import formats
from savos_jax.foundation import errors
from savos_jax.foundation import manifests
from savos_jax.studio import jobs
from savos_jax.studio import project as project_lib
from savos_jax.studio import results as results_lib
from savos_jax.video import annotation_sinks
from savos_jax.video import drawn_sinks
from savos_jax.video import excerpts
from savos_jax.video import overlapped
from savos_jax.video import sinks
from savos_jax.video import sources

# By name: what it makes, in exports/, and what it is, for people.
_OWN = {
  'davis': ('davis', 'indexed PNGs, one for each frame'),
  'overlay': ('overlay.mp4', 'the masks over the video'),
  'cutout': ('cutout', 'transparent PNGs, one for each frame'),
  'green': ('cutout.mp4', 'the objects over green'),
  'prores': ('cutout.mov', 'a transparent video, ProRes 4444'),
  'webm': ('cutout.webm', 'a transparent video, VP9'),
}
NAMES = {
  **{name: says for name, (_, says) in _OWN.items()},
  **{name: kind.says for name, kind in formats.FORMATS.items()},
}
_CUTOUTS = {'cutout': 'png', 'green': 'green', 'prores': 'prores'}
_CUTOUTS |= {'webm': 'webm'}


def made(name: str) -> str:
  """Returns the name in exports/ of a format's file or folder."""
  return _OWN[name][0] if name in _OWN else name


def _sink(
  folder: pathlib.Path,
  name: str,
  video: sources.Video,
  project: project_lib.Project,
) -> sinks.Sink:
  if name == 'davis':
    return sinks.Masks(folder / 'davis', video.names)
  if name == 'overlay':
    colours = {each.id: each.rgb for each in project.objects}
    return drawn_sinks.masks_over(folder, video, colours)
  if name in _CUTOUTS:
    return drawn_sinks.cut_out(folder, video, _CUTOUTS[name])
  names = {each.id: each.name for each in project.objects}
  return annotation_sinks.Annotations(folder, name, video, names)


def check(
  names: Sequence[str], project: project_lib.Project, first: int, last: int
) -> None:
  """Refuses exports that are impossible.

  Raises:
    SavosError: a format is unknown, or the frames do not exist.
  """
  unknown = [name for name in names if name not in NAMES]
  if unknown or not names:
    raise errors.SavosError(
      f'formats {unknown or "none"}.\n  Expected some of {", ".join(NAMES)}.'
    )
  project.check_frame(first)
  project.check_frame(last)
  if last < first:
    raise errors.SavosError(
      f'frames {first} to {last}.\n  Expected the first one in front.'
    )


def write(
  names: Sequence[str],
  project: project_lib.Project,
  results: results_lib.Results,
  first: int,
  last: int,
  job: jobs.Job,
) -> tuple[list[str], int]:
  """Writes formats, replacing earlier exports of them.

  Args:
    names: names of the formats.
    project: the project.
    results: its masks.
    first: the first frame.
    last: the last one.
    job: is notified of each frame, and may stop the export; then there are no
      videos.

  Returns:
    The names in exports/, and the number of frames without a mask, which are
    written without objects.

  Raises:
    SavosError: a library is missing, the disk is full, a frame is damaged, or a
      file there belongs to somebody else.
    Stopped: by `job`.
  """
  folder = project.folder / 'exports'
  video = excerpts.part(project.opened, first, last)
  computed = results.computed
  empty = 0
  for name in names:
    there = sorted((folder / made(name)).rglob('*'))
    manifests.remove_own(path for path in there if path.is_file())
  with contextlib.ExitStack() as opened:
    chosen = [_sink(folder, name, video, project) for name in names]
    for sink in chosen:
      opened.enter_context(sink)
      sink.begin(0)
    writer = opened.enter_context(overlapped.write_behind())
    frames = overlapped.read_ahead(_decodable(video))
    opened.callback(frames.close)
    for shown in frames:
      job.check()
      index = shown.index + first
      labels = results.labels(index)
      if labels is None:
        empty += 1
        labels = np.zeros(shown.image.shape[:2], np.uint8)
      sure = computed[index].confidence if index in computed else {}
      segmented = sinks.Segmented(shown, labels, confidence=sure)
      for sink in chosen:
        writer.submit(sink.write, segmented)
      writer.submit(job.advance)
    for sink in chosen:
      writer.submit(sink.finish)
  return [made(name) for name in names], empty


def _decodable(video: sources.Video) -> Iterator:
  """Yields the frames that there are; what is missing was told before."""
  with contextlib.suppress(errors.Incomplete):
    yield from video.numbered()


@dataclasses.dataclass(frozen=True)
class Download:
  """A file to send.

  Attributes:
    path: of the file; None: `folder` has to be packed.
    folder: the folder to pack into a zip.
    name: the file name for the browser.
  """

  path: pathlib.Path | None
  folder: pathlib.Path | None
  name: str


def find(project: project_lib.Project, name: str) -> Download | None:
  """Returns the export of a name; None if there is none.

  Args:
    project: the project.
    name: from `write`, with or without '.zip'.
  """
  stem = name.removesuffix('.zip')
  if stem not in {made(each) for each in NAMES}:
    return None
  path = project.folder / 'exports' / stem
  if path.is_symlink():  # Who knows where to.
    return None
  if path.is_dir():
    return Download(None, path, f'{stem}.zip')
  return Download(path, None, stem) if path.is_file() else None


def pack(folder: pathlib.Path, file) -> None:
  """Packs a folder into a zip.

  Args:
    folder: the folder; paths in the zip are relative to it.
    file: binary, open for writing.
  """
  packed = ('.png', '.jpg', '.parquet')
  with zipfile.ZipFile(file, 'w', allowZip64=True) as archive:
    for path in sorted(folder.rglob('*')):
      if path.is_file() and not path.is_symlink():
        kind = zipfile.ZIP_STORED
        if path.suffix not in packed:
          kind = zipfile.ZIP_DEFLATED
        name = f'{folder.name}/{path.relative_to(folder)}'
        archive.write(path, name, kind)
