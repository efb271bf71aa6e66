"""Scores videos by the protocols of the data sets.

The first annotated frame is not scored (its mask is given), nor is the last one
in DAVIS. DAVIS 2016 scores all ids of a sequence as one object, DAVIS 2017 each
of the ids 1..max id of the first frame, SegTrack each object against its own
masks, without the void pixels. YouTube-VOS scores every object, in the frames
after the first one that shows it. Each sequence knows its protocol. Predictions
come from a folder of mask files or from a callable, so baselines use the same
code.
"""

import bisect
from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
import dataclasses
import functools
import os
import pathlib

import numpy as np
import tqdm

from savos_jax.datasets import sequences
from savos_jax.evaluation import measures
from savos_jax.evaluation import predictions
from savos_jax.evaluation import rules
from savos_jax.foundation import cores
from savos_jax.foundation import errors

Predicted = predictions.Predicted
# Of a video of which any is scored: neither the first is, nor DAVIS' last.
FEWEST_FRAMES = 3


def scored_frames(sequence: sequences.Sequence) -> tuple[int, ...]:
  """Returns the indices of the frames that a sequence's protocol scores.

  Raises:
    SavosError: as `rules.Protocol.frames`.
  """
  return rules.PROTOCOLS[sequence.protocol].frames(sequence)


@dataclasses.dataclass(frozen=True, eq=False)
class ObjectScore:
  """The scores of one object through a video.

  Attributes:
    name: `<sequence>_<id>`, or `<sequence>` if there is only one object.
    j: region similarity, float64 [n], for each scored frame; n may be 0.
    f: boundary accuracy, float64 [n].
    sequence: name of the video; '' if equal to `name`.
    frames: names of the scored frames, [n], if known.
  """

  name: str
  j: np.ndarray
  f: np.ndarray
  sequence: str = ''
  frames: tuple[str, ...] = ()

  @functools.cached_property
  def j_statistics(self) -> measures.Statistics:
    """Mean, recall and decay of J; nan without scored frames."""
    return measures.statistics(self.j)

  @functools.cached_property
  def f_statistics(self) -> measures.Statistics:
    """Mean, recall and decay of F; nan without scored frames."""
    return measures.statistics(self.f)


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
  """The scores of a set of videos.

  Attributes:
    objects: the scores of each object, in the order of the sequences.
    protocol: name of the protocol; '' if unknown.
    notes: phrases that say what the figures do not include.
  """

  objects: tuple[ObjectScore, ...]
  protocol: str = ''
  notes: tuple[str, ...] = ()

  @property
  def scored(self) -> 'Scores':
    """The scores without objects that have no scored frame."""
    scored = tuple(score for score in self.objects if score.j.size)
    return dataclasses.replace(self, objects=scored)

  @functools.cached_property
  def j(self) -> measures.Statistics:
    """Means over objects of J's mean, recall and decay.

    Objects without scored frames (videos of up to two frames) are excluded.
    """
    return _mean_statistics(score.j_statistics for score in self.objects)

  @functools.cached_property
  def f(self) -> measures.Statistics:
    """As `j`, for F."""
    return _mean_statistics(score.f_statistics for score in self.objects)

  @property
  def j_and_f(self) -> float:
    """Mean of J's mean and F's mean."""
    return (self.j.mean + self.f.mean) / 2

  @functools.cached_property
  def by_sequence(self) -> dict[str, 'Scores']:
    """The scores of each sequence, in order."""
    objects: dict[str, list[ObjectScore]] = {}
    for score in self.objects:
      objects.setdefault(score.sequence or score.name, []).append(score)
    return {
      name: Scores(tuple(found), self.protocol)
      for name, found in objects.items()
    }

  @functools.cached_property
  def sequences_j(self) -> measures.Statistics:
    """Means over sequences of the means over their objects."""
    return _mean_statistics(scores.j for scores in self.by_sequence.values())

  @functools.cached_property
  def sequences_f(self) -> measures.Statistics:
    """As `sequences_j`, for F."""
    return _mean_statistics(scores.f for scores in self.by_sequence.values())


def _mean_statistics(
  statistics: Iterable[measures.Statistics],
) -> measures.Statistics:
  rows = [row for row in statistics if not np.isnan(row.mean)]
  if not rows:
    return measures.Statistics(float('nan'), float('nan'), float('nan'))
  return measures.Statistics(*map(float, np.mean(rows, axis=0)))


def read_predictions(
  folder: str | os.PathLike, sequence: sequences.Sequence
) -> Predicted:
  """Predictions from files, read on demand.

  Args:
    folder: the results, as `predictions` describes them.
    sequence: the video.

  Returns:
    Frame index -> labels uint8 [H, W]. It raises SavosError naming the file if
    one is missing, damaged or not a mask of this sequence.
  """
  files = predictions.open_files(folder, sequence)

  def labels_of(index: int) -> np.ndarray:
    labels = np.zeros((sequence.height, sequence.width), np.uint8)
    for object_id, mask in predictions.by_object(
      sequence, files, index
    ).items():
      labels[mask] = object_id
    return labels

  return labels_of


def first_mask_baseline(sequence: sequences.Sequence) -> Predicted:
  """Predicts the first mask of each object for all later frames.

  Raises:
    SavosError: a mask is unreadable.
  """
  starts, shown = [], [np.zeros((sequence.height, sequence.width), np.uint8)]
  for index, ids in sequence.appearances.items():
    given = sequence.labels(index)
    starts.append(index)
    shown.append(np.where(np.isin(given, ids), given, shown[-1]))
  return lambda index: shown[bisect.bisect(starts, index)]


def background_baseline(sequence: sequences.Sequence) -> Predicted:
  """Predicts background for every frame."""
  labels = np.zeros((sequence.height, sequence.width), np.uint8)
  return lambda index: labels


# Name -> title, and what makes the predictions.
BASELINES = {
  'first_mask': ('first mask copied', first_mask_baseline),
  'background': ('all background', background_baseline),
}


@dataclasses.dataclass(frozen=True)
class _Frame:
  """The scores of a frame.

  Attributes:
    index: of the frame.
    values: (J, F) of each object that counts in it.
    left_out: objects in it that the rules leave out.
  """

  index: int
  values: dict[int, tuple[float, float]]
  left_out: tuple[int, ...]


def _score_frame(sequence: sequences.Sequence, predicted, index: int) -> _Frame:
  found = predictions.by_object(sequence, predicted, index)
  truth = sequence.truth(index)
  values = {
    object_id: (
      measures.region_similarity(found[object_id], mask, void=void),
      measures.boundary_accuracy(found[object_id], mask, void=void),
    )
    for object_id, mask, void in truth.objects
    if object_id in truth.scored
  }
  return _Frame(index, values, truth.left_out)


def _object_score(
  sequence: sequences.Sequence, object_id: int, frames: list[_Frame]
) -> ObjectScore:
  """Gathers the frames in which an object counts."""
  own = [frame for frame in frames if object_id in frame.values]
  values = [frame.values[object_id] for frame in own]
  j, f = np.array(values, np.float64).reshape(len(own), 2).T
  return ObjectScore(
    sequence.object_name(object_id),
    j=j,
    f=f,
    sequence=sequence.name,
    frames=tuple(sequence.frame_name(frame.index) for frame in own),
  )


def _object_scores(
  sequence: sequences.Sequence, frames: list[_Frame]
) -> list[ObjectScore]:
  """Turns the scores of frames into one score an object."""
  return [_object_score(sequence, i, frames) for i in sequence.scored_ids]


def _note_left_out(
  sequence: sequences.Sequence, frames: list[_Frame]
) -> list[str]:
  """Says which objects the rules leave out."""
  first: dict[int, int] = {}
  for frame in frames:
    for object_id in frame.left_out:
      first.setdefault(object_id, frame.index)
  title = rules.PROTOCOLS[sequence.protocol].title
  counted = {object_id for frame in frames for object_id in frame.values}
  unscored = set(sequence.scored_ids) - counted if frames else set()
  return [
    f'{sequence.name}: object {object_id} appears at '
    f'{sequence.frame_name(index)}: not scored ({title} rules)'
    for object_id, index in first.items()
  ] + [
    f'{sequence.name}: object {object_id} is in no annotated frame after its '
    'first: not scored'
    for object_id in sorted(unscored)
  ]


def _why_unscored(sequence: sequences.Sequence) -> str:
  count = len(sequence.annotated)
  if not sequence.only_given:
    return f'{count} annotated frames, the first and the last: none is scored'
  if count == len(sequence):
    return f'{count} annotated frame{"s" * (count > 1)}, none is scored'
  given = 'frame' if count == 1 else 'masks of the objects'
  return f'no annotations beyond the first {given}: not scored'


def unscored(videos: list[sequences.Sequence]) -> list[str]:
  """Returns a phrase for each reason why videos have no scored frame.

  Raises:
    SavosError: as `scored_frames`.
  """
  names: dict[str, list[str]] = {}
  for video in videos:
    if not scored_frames(video):
      names.setdefault(_why_unscored(video), []).append(video.name)
  return [
    f'{predictions.shown(some)} {"has" if len(some) == 1 else "have"} {reason}'
    for reason, some in names.items()
  ]


def score_sequence(
  sequence: sequences.Sequence,
  predicted: Predicted | str | os.PathLike,
) -> list[ObjectScore]:
  """Scores the predictions for one video by its protocol.

  Args:
    sequence: the video.
    predicted: frame index -> labels uint8 [H, W], called once for each scored
      frame in temporal order; or a results folder.

  Returns:
    The scores of each object, ids ascending.

  Raises:
    SavosError: a prediction or annotation is missing, unreadable or of another
      size; a prediction has ids that the first frame lacks.
  """
  if not callable(predicted):
    predicted = predictions.open_files(predicted, sequence)
  return _object_scores(
    sequence,
    [
      _score_frame(sequence, predicted, index)
      for index in scored_frames(sequence)
    ],
  )


def _score_all(
  videos: list[sequences.Sequence],
  predicted_of: Callable,
  title: str,
  progress: bool,
  workers: int | None,
  notes: Iterable[str] = (),
) -> Scores:
  """Scores frames of all videos side by side.

  Threads, since decoding and the loops of NumPy and OpenCV release the
  interpreter's lock, and since forking a program that runs JAX can deadlock.
  """
  bar = tqdm.tqdm(
    total=sum(len(scored_frames(video)) for video in videos),
    desc=title,
    unit='frame',
    disable=None if progress else True,  # None: where stderr is no terminal.
  )
  pool = futures.ThreadPoolExecutor(workers or cores.threads())
  scores, notes = [], [*unscored(videos), *notes]
  try:
    pending = []
    for video in videos:
      predicted = predicted_of(video)
      pending.append(
        [
          pool.submit(_score_frame, video, predicted, index)
          for index in scored_frames(video)
        ]
      )
    for video, tasks in zip(videos, pending, strict=True):
      bar.set_postfix_str(video.name)
      frames = []
      for task in tasks:
        frames.append(task.result())
        bar.update()
      scores += _object_scores(video, frames)
      notes += _note_left_out(video, frames)
  finally:
    pool.shutdown(cancel_futures=True)
    bar.close()
  names = {video.protocol for video in videos}
  name = names.pop() if len(names) == 1 else ''
  return Scores(tuple(scores), name, tuple(notes))


def score_predictions(
  videos: list[sequences.Sequence],
  predicted_of: Callable[[sequences.Sequence], Predicted],
  title: str = 'scoring',
  progress: bool = True,
  workers: int | None = None,
) -> Scores:
  """Scores computed predictions, such as the baselines.

  Args:
    videos: the videos to score.
    predicted_of: video -> (frame index -> labels); the inner callable is called
      by several threads in any order.
    title: label of the progress bar.
    progress: show a progress bar (only on a terminal).
    workers: threads; None: one for each core.

  Returns:
    The scores.

  Raises:
    SavosError: as `score_sequence`.
  """
  return _score_all(videos, predicted_of, title, progress, workers)


def score_results(
  results_folder: str | os.PathLike,
  videos: list[sequences.Sequence],
  progress: bool = True,
  workers: int | None = None,
) -> Scores:
  """Scores mask files: `<results>/<sequence>/<frame>.png`.

  Files of frames that are not scored may be missing.

  Args:
    results_folder: the results, as `predictions` describes them.
    videos: the videos to score.
    progress: show a progress bar (only on a terminal).
    workers: threads; None: one for each core.

  Returns:
    The scores.

  Raises:
    SavosError: there is nothing to score; a sequence or a frame is missing, or
      there are too many frames (detected before scoring); as `score_sequence`.
  """
  check_scored(videos)
  files, notes = predictions.open_folder(
    pathlib.Path(results_folder), videos, scored_frames
  )
  return _score_all(
    videos,
    lambda video: files.get(video.name),
    'scoring',
    progress,
    workers,
    notes,
  )


def check_scored(videos: list[sequences.Sequence]) -> None:
  """Raises SavosError if no frame of any video is scored."""
  if not any(map(scored_frames, videos)):
    own = rules.PROTOCOLS[videos[0].protocol]
    last = (
      f', and {own.title} leaves out the last one, too '
      '(--protocol=youtube_vos scores it)'
    )
    raise errors.SavosError(
      f'nothing to score: {"; ".join(unscored(videos))}.\n'
      '  Expected annotations beyond the first ones: these are given'
      f'{last * bool(own.leave_out_last)}. Of a test set no others are '
      'published: its server scores.'
    )
