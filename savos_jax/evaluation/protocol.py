"""What is scored with what: the rules of DAVIS 2016, 2017 and SegTrack v2.

The first frame is left out (its mask is given), in DAVIS the last one, too.
DAVIS 2016 scores all ids of a sequence as one object, DAVIS 2017 each of the
ids 1..max id of the first frame, SegTrack each object against its own masks,
without the void pixels. A sequence says which rules are its own. Predictions
come from a folder of mask files or from a callable, so that baselines go
through the same code.
"""

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

Predicted = predictions.Predicted
# Of a video of which any is scored: neither the first is, nor DAVIS' last.
FEWEST_FRAMES = 3


def scored_frames(sequence: sequences.Sequence) -> range:
  """Returns the indices of the frames that a sequence's protocol scores."""
  return rules.PROTOCOLS[sequence.protocol].frames(sequence)


@dataclasses.dataclass(frozen=True, eq=False)
class ObjectScore:
  """The scores of one object through a video.

  Attributes:
    name: `<sequence>_<id>`, or `<sequence>` where there is but one object.
    j: region similarity, float64 [n], one a scored frame; n may be 0.
    f: boundary accuracy, float64 [n].
    sequence: name of the video; '' where it is `name`.
    frames: names of the scored frames, [n], where they are known.
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
    objects: one score an object, in the order of the sequences.
    protocol: name of the rules; '' where it is not known.
  """

  objects: tuple[ObjectScore, ...]
  protocol: str = ''

  @functools.cached_property
  def j(self) -> measures.Statistics:
    """Means over objects of J's mean, recall and decay.

    Objects without scored frames (videos of up to two frames) are left out.
    """
    return _mean_statistics(score.j_statistics for score in self.objects)

  @functools.cached_property
  def f(self) -> measures.Statistics:
    """As `j`, for F."""
    return _mean_statistics(score.f_statistics for score in self.objects)

  @property
  def j_and_f(self) -> float:
    """Mean of the mean of J and the mean of F."""
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
  """Predictions from files, read when asked for.

  Args:
    folder: the results, as `predictions` describes them.
    sequence: the video.

  Returns:
    Frame index -> labels uint8 [H, W]. It raises SavosError where a file is
    missing, damaged or no mask of this sequence, naming it.
  """

  def labels_of(index: int) -> np.ndarray:
    labels = np.zeros((sequence.height, sequence.width), np.uint8)
    for object_id, mask in predictions.by_object(
      sequence, folder, index
    ).items():
      labels[mask] = object_id
    return labels

  return labels_of


def first_mask_baseline(sequence: sequences.Sequence) -> Predicted:
  """Predicts the first frame's mask for every frame.

  Raises:
    SavosError: the first mask is unreadable.
  """
  labels = sequence.labels(0)
  return lambda index: labels


def background_baseline(sequence: sequences.Sequence) -> Predicted:
  """Predicts background for every frame."""
  labels = np.zeros((sequence.height, sequence.width), np.uint8)
  return lambda index: labels


# Name -> title, and what makes the predictions.
BASELINES = {
  'first_mask': ('first mask copied', first_mask_baseline),
  'background': ('all background', background_baseline),
}


def _score_frame(
  sequence: sequences.Sequence, predicted, index: int
) -> list[tuple[float, float]]:
  """Returns (J, F) of every object in one frame."""
  found = predictions.by_object(sequence, predicted, index)
  return [
    (
      measures.region_similarity(found[object_id], truth, void=void),
      measures.boundary_accuracy(found[object_id], truth, void=void),
    )
    for object_id, truth, void in sequence.truths(index)
  ]


def _object_scores(
  sequence: sequences.Sequence, frames: list[list[tuple[float, float]]]
) -> list[ObjectScore]:
  """Turns (J, F) a frame and object into one score an object."""
  ids = sequence.scored_ids
  values = np.array(frames, np.float64).reshape(len(frames), len(ids), 2)
  names = tuple(sequence.masks[i].stem for i in scored_frames(sequence))
  return [
    ObjectScore(
      sequence.object_name(object_id),
      j=values[:, column, 0],
      f=values[:, column, 1],
      sequence=sequence.name,
      frames=names,
    )
    for column, object_id in enumerate(ids)
  ]


def score_sequence(
  sequence: sequences.Sequence,
  predicted: Predicted | str | os.PathLike,
) -> list[ObjectScore]:
  """Scores the predictions for one video, by the video's own protocol.

  Args:
    sequence: the video.
    predicted: frame index -> labels uint8 [H, W], called once a scored frame in
      order of time; or a folder of results.

  Returns:
    One score an object, ids ascending.

  Raises:
    SavosError: a prediction or annotation is missing, unreadable or of another
      size; a prediction holds ids that the first frame does not have.
  """
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
  pool = futures.ThreadPoolExecutor(workers or os.cpu_count())
  scores = []
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
  finally:
    pool.shutdown(cancel_futures=True)
    bar.close()
  names = {video.protocol for video in videos}
  return Scores(tuple(scores), names.pop() if len(names) == 1 else '')


def score_predictions(
  videos: list[sequences.Sequence],
  predicted_of: Callable[[sequences.Sequence], Predicted],
  title: str = 'scoring',
  progress: bool = True,
  workers: int | None = None,
) -> Scores:
  """Scores predictions that are computed, such as the baselines.

  Args:
    videos: what is scored.
    predicted_of: video -> (frame index -> labels); the inner callable is
      called from several threads and in any order.
    title: stands before the progress bar.
    progress: show a progress bar (only on a terminal).
    workers: threads; None for one a core.

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

  The files of the frames that are not scored may be missing.

  Args:
    results_folder: the results, as `predictions` describes them.
    videos: what is scored.
    progress: show a progress bar (only on a terminal).
    workers: threads; None for one a core.

  Returns:
    The scores.

  Raises:
    SavosError: a sequence or a frame is missing, or there are frames too many
      (found before any is scored); as `score_sequence`.
  """
  folder = pathlib.Path(results_folder)
  predictions.check_folder(folder, videos, scored_frames)
  return _score_all(videos, lambda _: folder, 'scoring', progress, workers)
