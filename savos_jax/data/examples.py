"""The source of an example: frames of a video, or one frame to dream from."""

import dataclasses

import numpy as np

from savos_jax.data import choices
from savos_jax.datasets import sequences


@dataclasses.dataclass(frozen=True)
class Clip:
  """The source of an example from a video; frames are indices.

  Attributes:
    sequence: the video.
    reference: the frame whose mask says what to segment.
    targets: the T frames to segment.
    previous: the frame of the previous mask.
    object_id: the object that is the foreground.
  """

  sequence: sequences.Sequence
  reference: int
  targets: tuple[int, ...]
  previous: int
  object_id: int

  def __str__(self):
    """Returns the sequence, the object and the frames' names."""
    stems = [self.sequence.frames[i].stem for i in self.targets]
    return (
      f'clip of {self.sequence.name} (object {self.object_id}, frames '
      f'{self.sequence.frames[self.reference].stem} -> {", ".join(stems)})'
    )


@dataclasses.dataclass(frozen=True)
class DreamSource:
  """The source of a lucid dream.

  Attributes:
    sequence: the video or photo.
    frame: index of the frame.
    moving: the objects that are cut out and moved.
    object_id: the object that is the foreground.
  """

  sequence: sequences.Sequence
  frame: int
  moving: tuple[int, ...]
  object_id: int

  def __str__(self):
    """Returns the sequence, the objects and the frame's name."""
    return (
      f'dream of {self.sequence.name} (object {self.object_id}, frame '
      f'{self.sequence.frames[self.frame].stem}, moving '
      f'{", ".join(map(str, self.moving))})'
    )


@dataclasses.dataclass(frozen=True)
class Still:
  """A frame to dream from; a `backgrounds.Task`.

  Attributes:
    sequence: the video or photo.
    frame: index of the frame.
    seed: seeds the choice of moving objects.
    subsets: largest number of sets, see `choices.moving_subsets`.
  """

  sequence: sequences.Sequence
  frame: int
  seed: int
  subsets: int

  @property
  def name(self) -> str:
    """Identifies the frame in messages."""
    return f'{self.sequence.name}/{self.frame}'

  def moving(self, labels: np.ndarray) -> list[tuple[int, ...]]:
    """Returns the sets of objects that may move.

    Args:
      labels: the frame's labels, uint8 [H, W].
    """
    return choices.moving_subsets(labels, self.seed, self.name, self.subsets)

  def load(self) -> tuple[np.ndarray, np.ndarray, list[tuple[int, ...]]]:
    """Reads the frame; see `backgrounds.Task`.

    Returns:
      The frame, RGB uint8 [H, W, 3]; its labels, uint8 [H, W]; the sets of
      objects that may move.

    Raises:
      SavosError: a file is damaged or malformed.
    """
    labels = self.sequence.labels(self.frame)
    return self.sequence.frame(self.frame), labels, self.moving(labels)
