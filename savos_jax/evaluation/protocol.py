"""What is scored with what: the DAVIS 2016 and 2017 protocols.

Both leave out the first frame (its mask is given) and the last. DAVIS 2016
scores all ids of a sequence as one object, DAVIS 2017 each of the ids
1..max id of the first frame. Predictions come from a folder of mask files or
from a callable, so that baselines go through the same code.
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

from savos_jax import errors
from savos_jax.data import masks
from savos_jax.data import sequences
from savos_jax.evaluation import measures

# Frame index -> labels, uint8 [H, W].
Predicted = Callable[[int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Protocol:
  """Which frames of a sequence count.

  Attributes:
    leave_out_first: frames at the start that are not scored.
    leave_out_last: frames at the end that are not scored.
  """

  leave_out_first: int = 1
  leave_out_last: int = 1

  def frames(self, sequence: sequences.Sequence) -> range:
    """Returns the indices of the scored frames."""
    return range(self.leave_out_first, len(sequence) - self.leave_out_last)


DAVIS = Protocol()


@dataclasses.dataclass(frozen=True, eq=False)
class ObjectScore:
  """The scores of one object through a video.

  Attributes:
    name: `<sequence>_<id>`, or `<sequence>` where all ids are merged.
    j: region similarity, float64 [n], one a scored frame; n may be 0.
    f: boundary accuracy, float64 [n].
  """

  name: str
  j: np.ndarray
  f: np.ndarray

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
  """

  objects: tuple[ObjectScore, ...]

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


def _mean_statistics(
  statistics: Iterable[measures.Statistics],
) -> measures.Statistics:
  rows = [row for row in statistics if not np.isnan(row.mean)]
  if not rows:
    return measures.Statistics(float('nan'), float('nan'), float('nan'))
  return measures.Statistics(*map(float, np.mean(rows, axis=0)))


def _prediction_path(
  folder: pathlib.Path, sequence: sequences.Sequence, index: int
) -> pathlib.Path:
  return folder / sequence.name / f'{sequence.masks[index].stem}.png'


def read_predictions(
  folder: str | os.PathLike, sequence: sequences.Sequence
) -> Predicted:
  """Predictions from files, read when asked for.

  Args:
    folder: holds `<sequence>/<stem>.png`, the stems as the sequence's masks.
    sequence: the video.

  Returns:
    Frame index -> labels. It raises SavosError where a file is missing,
    damaged or no mask, naming it.
  """
  folder = pathlib.Path(folder)
  return lambda index: masks.read_mask(
    _prediction_path(folder, sequence, index)
  )


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


def _source(predicted, sequence: sequences.Sequence, index: int) -> str:
  """Names a prediction for an error message."""
  if callable(predicted):
    return (
      f'{sequence.name}, frame {sequence.masks[index].stem}: the prediction'
    )
  return str(_prediction_path(pathlib.Path(predicted), sequence, index))


def _prediction(
  sequence: sequences.Sequence, predicted, index: int
) -> np.ndarray:
  """Returns a prediction's labels, checked, merged where the protocol says."""
  if callable(predicted):
    labels = np.asarray(predicted(index))
  else:
    labels = read_predictions(predicted, sequence)(index)
  expected = (sequence.height, sequence.width)
  if labels.ndim != 2:
    raise ValueError(f'predicted labels {labels.shape}: expected [H, W]')
  if labels.shape != expected:
    size = f'{labels.shape[1]}x{labels.shape[0]}'
    raise errors.SavosError(
      f'{_source(predicted, sequence, index)}: {size} pixels (width x height).'
      f'\n  Expected {sequence.width}x{sequence.height}, as '
      f'{sequence.masks[index]}. Write predictions at the size of the '
      'annotations (resize labels with nearest neighbour), or score against '
      'the resolution that they were made at.'
    )
  if sequence.merge_objects:
    return labels > 0
  highest = max(sequence.object_ids)
  found = int(labels.max(initial=0))
  if found > highest:
    raise errors.SavosError(
      f'{_source(predicted, sequence, index)}: holds object id {found}.\n'
      f'  Expected ids 0..{highest}, the objects of the first frame '
      f'({sequence.masks[0]}). Write each object under its id of the first '
      'frame, the rest as 0; to score all ids as one object, use the year 2016.'
    )
  return labels


def _score_frame(
  sequence: sequences.Sequence, predicted, index: int
) -> list[tuple[float, float]]:
  """Returns (J, F) of every object in one frame."""
  labels = _prediction(sequence, predicted, index)
  truth = sequence.labels(index)
  scored = []
  for object_id in _scored_ids(sequence):
    pair = labels == object_id, truth == object_id
    scored.append(
      (measures.region_similarity(*pair), measures.boundary_accuracy(*pair))
    )
  return scored


def _scored_ids(sequence: sequences.Sequence) -> range:
  # As in the official code an id that the first frame skips is scored too.
  return range(1, max(sequence.object_ids) + 1)


def _object_scores(
  sequence: sequences.Sequence, frames: list[list[tuple[float, float]]]
) -> list[ObjectScore]:
  """Turns (J, F) a frame and object into one score an object."""
  ids = _scored_ids(sequence)
  values = np.array(frames, np.float64).reshape(len(frames), len(ids), 2)
  return [
    ObjectScore(
      sequence.name
      if sequence.merge_objects
      else f'{sequence.name}_{object_id}',
      j=values[:, column, 0],
      f=values[:, column, 1],
    )
    for column, object_id in enumerate(ids)
  ]


def score_sequence(
  sequence: sequences.Sequence,
  predicted: Predicted | str | os.PathLike,
  protocol: Protocol = DAVIS,
) -> list[ObjectScore]:
  """Scores the predictions for one video.

  Args:
    sequence: the video; its `merge_objects` selects DAVIS 2016 (one score) or
      2017 (one for each of the ids 1..max id of the first frame).
    predicted: frame index -> labels uint8 [H, W], called once a scored frame in
      order of time; or a folder as for `read_predictions`.
    protocol: which frames are scored.

  Returns:
    One score an object, ids ascending.

  Raises:
    SavosError: a prediction or annotation is missing, unreadable or of another
      size; a prediction holds an id above the first frame's (2017).
  """
  return _object_scores(
    sequence,
    [
      _score_frame(sequence, predicted, index)
      for index in protocol.frames(sequence)
    ],
  )


def _score_all(
  videos: list[sequences.Sequence],
  predicted_of: Callable,
  title: str,
  progress: bool,
  workers: int | None,
  protocol: Protocol,
) -> Scores:
  """Scores frames of all videos side by side.

  Threads, since decoding and the loops of NumPy and OpenCV release the
  interpreter's lock, and since forking a program that runs JAX can deadlock.
  """
  bar = tqdm.tqdm(
    total=sum(len(protocol.frames(video)) for video in videos),
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
          for index in protocol.frames(video)
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
  return Scores(tuple(scores))


def score_predictions(
  videos: list[sequences.Sequence],
  predicted_of: Callable[[sequences.Sequence], Predicted],
  title: str = 'scoring',
  progress: bool = True,
  workers: int | None = None,
  protocol: Protocol = DAVIS,
) -> Scores:
  """Scores predictions that are computed, such as the baselines.

  Args:
    videos: what is scored.
    predicted_of: video -> (frame index -> labels); the inner callable is
      called from several threads and in any order.
    title: stands before the progress bar.
    progress: show a progress bar (only on a terminal).
    workers: threads; None for one a core.
    protocol: which frames are scored.

  Returns:
    The scores.

  Raises:
    SavosError: as `score_sequence`.
  """
  return _score_all(videos, predicted_of, title, progress, workers, protocol)


def _check_complete(
  folder: pathlib.Path, videos: list[sequences.Sequence], protocol: Protocol
) -> None:
  """Raises SavosError if a sequence or a scored frame has no file."""
  if not folder.is_dir():
    raise errors.SavosError(
      f'{folder}: no such folder.\n  Expected the results: one folder a '
      'sequence, one PNG a frame. Segment first, or correct the path.'
    )
  absent = [v.name for v in videos if not (folder / v.name).is_dir()]
  if absent:
    raise errors.SavosError(
      f'{folder}: no results for {len(absent)} of {len(videos)} sequences: '
      f'{", ".join(absent[:5])}{", ..." if len(absent) > 5 else ""}.\n'
      f'  Expected a folder {folder / absent[0]}. Segment these sequences too, '
      'or score with an image list that leaves them out.'
    )
  for video in videos:
    paths = [
      _prediction_path(folder, video, index) for index in protocol.frames(video)
    ]
    missing = [path for path in paths if not path.is_file()]
    if missing:
      raise errors.SavosError(
        f'{missing[0]}: no such file, one of {len(missing)} missing out of '
        f'{len(paths)} scored frames of {video.name}.\n'
        '  Expected one mask a frame, named as the annotation '
        f'({video.masks[protocol.leave_out_first].name}, ...). Segment the '
        'sequence again, or rename the files.'
      )


def score_results(
  results_folder: str | os.PathLike,
  videos: list[sequences.Sequence],
  progress: bool = True,
  workers: int | None = None,
  protocol: Protocol = DAVIS,
) -> Scores:
  """Scores mask files: `<results>/<sequence>/<stem>.png`.

  The files of the frames that are not scored may be missing.

  Args:
    results_folder: the results; the stems are those of the annotations.
    videos: what is scored.
    progress: show a progress bar (only on a terminal).
    workers: threads; None for one a core.
    protocol: which frames are scored.

  Returns:
    The scores.

  Raises:
    SavosError: a sequence or a frame is missing (found before any is scored);
      as `score_sequence`.
  """
  folder = pathlib.Path(results_folder)
  _check_complete(folder, videos, protocol)
  return _score_all(
    videos, lambda _: folder, 'scoring', progress, workers, protocol
  )
