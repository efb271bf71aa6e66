"""An open project: the work behind the server's endpoints."""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import functools
import logging
import pathlib
from typing import Any

import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import manifests
from savos_jax.foundation import names
from savos_jax.inference import tracker as tracker_lib
from savos_jax.studio import chains
from savos_jax.studio import events
from savos_jax.studio import exports
from savos_jax.studio import frames as frames_lib
from savos_jax.studio import jobs
from savos_jax.studio import project as project_lib
from savos_jax.studio import propagation
from savos_jax.studio import results as results_lib
from savos_jax.studio import states as states_lib
from savos_jax.video import grab_cut
from savos_jax.video import prompts
from savos_jax.video import video_file

logger = logging.getLogger(__name__)

_MOST_VIDEO = 64 << 30
MOST_PICTURE = 64 << 20
MOST_JSON = 1 << 16
_EVEN = 0.25  # Of a frame's duration: times so near to a rate's are told by it.


class Missing(errors.SavosError):
  """The requested thing does not exist."""


@dataclasses.dataclass(frozen=True)
class Network:
  """A network that makes trackers.

  Attributes:
    tracker: makes one for a pixel aspect ratio (width by height).
    root: identifies the network and its settings.
    says: the same in readable form, by name.
  """

  tracker: Callable[[float], tracker_lib.Tracker]
  root: str
  says: Mapping[str, str]


class Session:
  """A project, its frames, and one worker; threads may share it.

  Attributes:
    project: the project.
    hub: publishes events.
    most_video: size limit of an uploaded video, bytes.
  """

  def __init__(
    self,
    project: project_lib.Project,
    load: Callable[[], Network],
    most_video: int = _MOST_VIDEO,
    most_frames: int = frames_lib.MOST_BYTES,
  ):
    """Opens a session on a project.

    Args:
      project: a newly opened project.
      load: returns the network; called once, by the worker.
      most_video: size limit of an uploaded video, bytes.
      most_frames: size limit of the cache of frames, bytes.

    Raises:
      SavosError: a file of the project cannot be read.
    """
    self.project = project
    self.hub = events.Hub()
    self.most_video, self._most_frames = most_video, most_frames
    self._load = load
    self.worker = jobs.Worker(self.hub.tell)
    self._network: Network | None = None
    self._tracker: tracker_lib.Tracker | None = None
    self._frames: frames_lib.Frames | None = None
    self._results: results_lib.Results | None = None
    self._times: list[float] | None = None
    self._upload: jobs.Job | None = None
    if project.video:
      self._take_up()

  def _take_up(self) -> None:
    """Looks at the project's video."""
    project, video = self.project, self.project.opened
    self._times = times(video)
    self._results = results_lib.Results(project)
    folder = project.folder / '.frames' / project.fingerprint[:16]
    self._frames = frames_lib.Frames(
      video, project.count, folder, self._tell_kept, self._most_frames
    )
    if video.fps is not None:  # Images of a folder are at hand already.
      self._frames.start()

  def _tell_kept(self, done: int, total: int) -> None:
    self.hub.tell({'type': 'kept', 'done': done, 'total': total})

  def close(self) -> None:
    """Stops the current job and saves its results."""
    self.worker.close()
    if self._frames:
      self._frames.close()
    self.hub.end()

  @property
  def frames(self) -> frames_lib.Frames:
    """The frames of the video; SavosError if there is none yet."""
    if self._frames is None:
      raise project_lib.no_video()
    return self._frames

  @property
  def results(self) -> results_lib.Results:
    """The masks; SavosError if there is no video yet."""
    if self._results is None:
      raise project_lib.no_video()
    return self._results

  # --- What is there. --------------------------------------------------------

  @property
  def root(self) -> str:
    """Identifies what all masks depend on besides the marks.

    Until the network is loaded, that of the existing masks.
    """
    if self._network:
      return self._network.root
    return self.project.settings.get('root', '')

  def ways(self) -> chains.Ways:
    """Returns the current ways, on which the masks depend."""
    project = self.project
    return chains.ways(project.told, project.until, self.root)

  def view(self) -> dict[str, Any]:
    """Returns the state for a page."""
    project = self.project
    # One that was sent is looked at first.
    video = project.video if self._frames else None
    shown: dict[str, Any] = {
      'video': None,
      'objects': [dataclasses.asdict(each) for each in project.objects],
      'job': self._job_view(),
      'formats': list(exports.NAMES),
      'formats_say': exports.NAMES,
      'settings': project.settings,
      'limits': {
        'video': self.most_video,
        'picture': MOST_PICTURE,
        'objects': project_lib.MOST_OBJECTS,
      },
      **self.marked(),
    }
    if video:
      shown['video'] = {
        'name': video.path.name,
        'frames': project.count,
        'width': video.width,
        'height': video.height,
        'fps': video.fps,
        'pixel_aspect': float(video.pixel_aspect),
        'kept': self.frames.kept if video.fps is not None else project.count,
      }
      if self._times:
        shown['video']['times'] = self._times
    return shown

  def _job_view(self) -> dict[str, Any] | None:
    for job in (self._upload, self.worker.job):
      if job and job.is_running:
        return job.view()
    return None

  def marked(self, *, sure: bool = True) -> dict[str, Any]:
    """Returns which frames are marked, computed and stale.

    Args:
      sure: whether to include the confidences of all frames, which is large.
    """
    project = self.project
    computed: dict[int, results_lib.Computed] = {}
    stale: list[int] = []
    if self._results:
      computed = self._results.computed
      stale = self._results.stale(self.ways())
    told = sorted(project.told.items())
    found: dict[str, Any] = {
      'marks': {str(index): list(each.all_ids) for index, each in told},
      'computed': results_lib.ranges(sorted(computed)),
      'stale': results_lib.ranges(stale),
    }
    if sure:
      found['confidence'] = {
        str(each.id): [
          [index, round(made.confidence[each.id], 4)]
          for index, made in sorted(computed.items())
          if each.id in made.confidence
        ]
        for each in project.objects
      }
    return found

  def tell_project(self) -> None:
    """Publishes the state of the project to all pages."""
    self.hub.tell({'type': 'project', **self.view()})

  # --- What a person does. ---------------------------------------------------

  def video_path(self, name: str) -> pathlib.Path:
    """Returns the path for an uploaded video.

    Args:
      name: from the page; of a path only the last component is used.

    Raises:
      SavosError: it is not a valid name, or the project has a video.
      Busy: another upload is running.
    """
    if self.project.video:
      raise errors.SavosError(
        f'the project has a video: {self.project.opened.path.name}.\n'
        '  Expected one project for each video: start the studio with another '
        '--out.'
      )
    if self._upload and self._upload.is_running:
      raise jobs.Busy(
        'a video is being uploaded.\n  Expected it to finish first.'
      )
    last = name.replace('\\', '/').rpartition('/')[2].strip()
    if not names.is_name(last) or last[0] == '.' or len(last.encode()) > 200:
      raise errors.SavosError(
        f'{last[:40]!r}: not a valid name of a video.\n'
        '  Expected one such as clip.mp4.'
      )
    return self.project.folder / 'video' / last

  def begin_upload(self, total: int) -> jobs.Job:
    """Starts the job of an upload of a given size in bytes."""
    self._upload = jobs.Job('upload', total, self.hub.tell)
    self._upload.begin()
    return self._upload

  def take_video(self, path: pathlib.Path) -> None:
    """Begins the project with an uploaded video.

    Raises:
      SavosError: it cannot be read.
    """
    try:
      self.project.begin(path)
    except errors.SavosError:
      manifests.remove_own([path])  # A copy.
      raise
    self._take_up()
    self.tell_project()

  def mark(
    self, index: int, labels: np.ndarray, ids: tuple[int, ...] | None
  ) -> None:
    """Stores the mark of a frame; see `project.Project.mark`.

    Args:
      index: of the frame.
      labels: uint8 [H, W].
      ids: the marked objects; None: those drawn in it.
    """
    if ids is None:
      ids = tuple(int(i) for i in np.unique(labels) if i)
    results = self.results
    with self.project.lock:
      self.project.mark(index, labels, ids)
      results.put_mark(index)
    self._tell_marks()

  def unmark(self, index: int) -> None:
    """Removes a frame's mark."""
    results = self.results
    with self.project.lock:
      was = index in self.project.told
      self.project.unmark(index)
      if was:
        results.take_mark(index)
    self._tell_marks()

  def _tell_marks(self) -> None:
    self.hub.tell({'type': 'marks', **self.marked(sure=False)})

  def remove_object(self, object_id: int) -> None:
    """Removes an object, also from the marks."""
    with self.project.lock:
      for index in self.project.remove_object(object_id):
        if index in self.project.told:
          self.results.put_mark(index)
        else:
          self.results.take_mark(index)
    self.tell_project()

  def snap(self, index: int, prompt: prompts.Prompt) -> np.ndarray:
    """Segments the object of a prompt, bool [H, W]; see `grab_cut.mask`."""
    return grab_cut.mask(self.frames.image(index), prompt)

  def stop(self) -> dict[str, Any] | None:
    """Stops the current job at its next step."""
    job = self.worker.stop()
    return job.view() if job else None

  # --- What takes long. ------------------------------------------------------

  def range_of(
    self, direction: str, start: int, end: int | str | None
  ) -> tuple[int, int]:
    """Returns the first and the last frame of a request.

    Args:
      direction: one of `propagation.DIRECTIONS`.
      start: the frame that the page shows.
      end: the last frame; 'mark': the next marked frame, on either side with
        'both'; None: the end or the beginning of the video, or all of it with
        'both'.

    Raises:
      SavosError: the direction or frame does not exist.
    """
    project = self.project
    if direction not in propagation.DIRECTIONS:
      raise errors.SavosError(
        f'the direction {direction!r}.\n  Expected one of '
        f'{", ".join(propagation.DIRECTIONS)}.'
      )
    project.check_frame(start)
    low, high = 0, project.count - 1
    if end == 'mark':
      marked = sorted(project.told)
      low = max((i for i in marked if i < start), default=low)
      high = min((i for i in marked if i > start), default=high)
    elif isinstance(end, int):
      project.check_frame(end)
      low, high = min(start, end), max(start, end)
      wrong = {'forward': end < start, 'backward': end > start}
      if wrong.get(direction):
        raise errors.SavosError(
          f'{direction} from frame {start} to {end}.\n'
          '  Expected a frame on this side of it.'
        )
    if direction == 'forward':
      low = start
    elif direction == 'backward':
      high = start
    return low, high

  def propagate(
    self, direction: str, start: int, end: int | str | None
  ) -> dict[str, Any]:
    """Starts to compute masks; see `range_of`.

    Returns:
      The job.

    Raises:
      SavosError: as `range_of`, or no marked object is followed there.
      Busy: another job is running.
    """
    first, last = self.range_of(direction, start, end)
    column = propagation.DIRECTIONS.index(direction)
    ways = self.ways()
    if not any(ways.keys(i)[column] for i in range(first, last + 1)):
      where = {'forward': 'before it', 'backward': 'behind it'}
      raise errors.SavosError(
        f'nothing is marked in frames {first} to {last}, or '
        f'{where.get(direction, "around them")}.\n  Expected an object that is '
        'drawn in a frame: the brush paints one.'
      )
    work = functools.partial(self._propagate, direction, first, last)
    return self.worker.start('propagate', 0, work).view()

  def _propagate(
    self, direction: str, first: int, last: int, job: jobs.Job
  ) -> dict[str, Any]:
    frames = self.frames
    frames.busy.set()
    try:
      self._loaded()  # What masks depend on is known then.
      ways = self.ways()
      work = propagation.Propagation(
        self._made_ready(ways),
        self.project.opened,
        ways,
        self.results,
        states_lib.States(self.project.folder / '.states'),
        self.project.folder / '.backwards',
        job.check,
        functools.partial(self._tell_frame, job),
      )
      needed = work.needed(direction, first, last)
      job.set_total(work.steps(direction, needed))
      work.run(direction, needed)
    finally:
      frames.busy.clear()
      self.tell_project()
    return {}

  def _tell_frame(
    self, job: jobs.Job, index: int | None, sure: Mapping[int, float]
  ) -> None:
    if index is not None:
      told = {str(i): round(c, 4) for i, c in sure.items()}
      self.hub.tell({'type': 'frame', 'frame': index, 'confidence': told})
    job.advance()

  def warm(self) -> None:
    """Loads the network in advance."""
    self.worker.prepare(self._loaded)

  def _loaded(self) -> Network:
    """Returns the network."""
    if self._network is None:
      self._network = self._load()
      self._note_settings()
    return self._network

  def _note_settings(self) -> None:
    """Notes which network makes the masks; those of another are stale."""
    assert self._network is not None
    told = {'root': self._network.root, **self._network.says}
    if self.project.video and self.project.settings != told:
      self.project.settings = told
      self.project.save()
      self.tell_project()

  def _made_ready(self, ways: chains.Ways) -> tracker_lib.Tracker:
    """Returns the tracker, which is compiled while the first frame comes."""
    network, video = self._loaded(), self.project.opened
    self._note_settings()
    if self._tracker is None:
      self._tracker = network.tracker(float(video.pixel_aspect))
    marks = ways.forwards.marks
    if marks.objects:  # They may have gone since it was asked for.
      objects = len(marks.objects[marks.first])
      self._tracker.compile_ahead(video.height, video.width, objects)
    return self._tracker

  def export(
    self, names_: list[str], first: int | None, last: int | None
  ) -> dict[str, Any]:
    """Starts an export into exports/.

    Args:
      names_: of `exports.NAMES`.
      first: the first frame; None: the first that has a mask.
      last: the last one; None: the last that has a mask.

    Returns:
      The job.

    Raises:
      SavosError: a format is unknown, a frame does not exist, or there are no
        masks.
      Busy: another job is running.
    """
    with_mask = sorted({*self.results.computed, *self.project.told})
    if not with_mask:
      raise errors.SavosError(
        'no mask to export.\n  Expected a frame that is marked or computed.'
      )
    first = with_mask[0] if first is None else first
    last = with_mask[-1] if last is None else last
    exports.check(names_, self.project, first, last)
    work = functools.partial(self._export, names_, first, last)
    return self.worker.start('export', last - first + 1, work).view()

  def _export(
    self, names_: list[str], first: int, last: int, job: jobs.Job
  ) -> dict[str, Any]:
    self.frames.busy.set()
    try:
      made, empty = exports.write(
        names_, self.project, self.results, first, last, job
      )
    finally:
      self.frames.busy.clear()
    more: dict[str, Any] = {'files': made}
    if empty:
      more['note'] = (
        f'{empty} of {last - first + 1} frames have no mask: they are '
        'written without an object.'
      )
    return more


def times(video) -> list[float] | None:
  """Returns the timestamps of frames at a variable rate, seconds."""
  if video.fps is None:
    return None
  index = video_file.index(video.path)
  if index is None or len(index.stamps) < 2 or not index.seconds:
    return None
  stamps = index.stamps - index.stamps[0]
  times = stamps * (index.seconds / stamps[-1])
  even = np.arange(len(times)) / video.fps
  if np.abs(times - even).max() < _EVEN / video.fps:
    return None
  return np.round(times, 4).tolist()
