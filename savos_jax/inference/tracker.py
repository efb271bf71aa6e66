"""Segments the objects of a video, frame by frame (SAVOS, section 5).

An object's state consists of its reference's features, one mask and, if the
network has a look back, a few remembered frames. It does not grow with the
length of the video, and the video itself is never kept in memory.

In float32, at 256x448 with 128 decoder channels (half width), an object takes
57,344 bytes for its reference's features and 458,752 for its mask. A look back
with 64 + 128 channels adds 344,064 bytes for the reference and the same for
each of `memory_frames`: 2.6 MB in total with five. With `zoom`, the mask is
kept at up to four times the window's height and width. In bfloat16, everything
but the mask takes half as much.
"""

from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import dataclasses
import threading
import time
from typing import Any

import cv2
import numpy as np

from savos_jax.foundation import errors
from savos_jax.foundation import trees
from savos_jax.inference import aggregation
from savos_jax.inference import checks
from savos_jax.inference import dense_crf
from savos_jax.inference import geometry as geometry_lib
from savos_jax.inference import lessons as lessons_lib
from savos_jax.inference import options
from savos_jax.inference import runtime as runtime_lib

# Kinds of videos that this process has compiled ahead for: only the first video
# of a kind has to wait.
_compiled_ahead: set[Hashable] = set()
_NEAREST = cv2.INTER_NEAREST_EXACT
_MOST_OBJECTS = 254  # Ids are uint8: 0 is background, 255 void.


class Tracker:
  """Segments the objects of one video after another.

  Objects can be added at any frame, given a new reference, and dropped:

    tracker.add_object(frame, mask)
    labels = tracker.step(next_frame)
  """

  def __init__(
    self,
    model: Any,
    params: Any,
    config: options.InferenceConfig | None = None,
    pixel_aspect: float = 1.0,
    learner: lessons_lib.Learner | None = None,
  ):
    """Creates a tracker without a video.

    Args:
      model: the network, a `savos.SAVOS`, or a `runtime.Runtime` that runs one.
      params: the network's parameters; ignored by a runtime that has its own.
      config: how to segment; None: as in the paper, at a single scale.
      pixel_aspect: the frames' pixel aspect ratio, displayed width over height.
        The network sees frames with square pixels; labels keep the frames' own.
      learner: fine-tunes the network on a video's objects, see `adapt`; None:
        the network is not changed.

    Raises:
      SavosError: the runtime does not support the configuration.
    """
    self._runtime = _runtime_of(model)
    self._loaded = params
    self._learner = learner
    self._config = config or options.InferenceConfig()
    self._aspect = pixel_aspect
    self._ahead: threading.Thread | None = None  # Compiles `step`.
    self._runtime.check(self._config)
    if self._config.crf:
      dense_crf.require()  # Fail before the slow part.
    self.reset()

  def reset(self) -> None:
    """Forgets the video: its objects, frame size and online learning."""
    self._params = self._loaded
    self._lessons: list[lessons_lib.Lesson] = []  # With given masks.
    self._found: lessons_lib.Lesson | None = None  # With a prediction.
    self._turns = 0  # Updates so far.
    # Each object's reference frame and mask, kept only if they may have to be
    # encoded again.
    self._shown: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    self.seconds_learning = 0.0
    self._opened: geometry_lib.Geometry | None = None
    self._ids: list[int] = []
    self._frame: np.ndarray | None = None  # The last one, prepared.
    # References for every view, [K, ...]; guidance [K, H, W].
    self._references: tuple[Any, ...] = ()
    self._guidance: Any = np.zeros((0, 0, 0), np.float32)
    self._confidences: Any = np.zeros(0, np.float32)
    # References of the union of all objects, if the background is 'merged';
    # None after the objects have changed.
    self._merged: tuple[Any, ...] | None = None
    # Frames besides the reference; None if the network has no look back.
    self._memory: runtime_lib.Memory | None = None
    self._steps = 0  # Frames since the first.

  @property
  def object_ids(self) -> tuple[int, ...]:
    """The objects' ids, in the order of `probabilities`."""
    return tuple(self._ids)

  @property
  def probabilities(self) -> Any:
    """Each object's probabilities in the last frame, float32 [K, h, w].

    At the size that frames are resized to for the network; an array of JAX or
    NumPy.

    Raises:
      SavosError: no object was ever added.
    """
    return self._runtime.cropped(self._guidance, self._geometry.size)

  @property
  def confidences(self) -> np.ndarray:
    """The confidence of each object's mask in the last frame, float32 [K].

    The mean probability over the object's pixels (those above 0.5); 0 if it has
    none, because it is lost or out of sight; 1 in a frame with a given mask.
    """
    return np.asarray(self._confidences)

  def state(self) -> list[Any]:
    """Returns the state that the next frame depends on, for `restore`."""
    steps = np.int32(self._steps)
    more = trees.leaves(self._more_state())
    learnt = self._learnt()
    return [self.probabilities, self.confidences, steps, *more, *learnt]

  def _more_state(self):
    """Returns the state that only some networks and configurations have."""
    if self._needs_union:
      self._all_references()  # Encodes the union if needed.
    return self._memory, self._merged

  def restore(self, state: Sequence[np.ndarray]) -> None:
    """Resumes after an interruption, with identical results.

    Args:
      state: from `state`, after some frame, with the same objects, references
        and network.

    Raises:
      SavosError: the state belongs to other objects, another size or another
        network.
    """
    learnt = len(self._learnt())
    if learnt:
      self._relearn(state[-learnt:])
      state = state[:-learnt]
    tree = self._more_state()
    found = [(x.shape, str(x.dtype)) for x in state[1:]]
    expected = [((len(self._ids),), 'float32'), ((), 'int32')]
    expected += [(x.shape, str(x.dtype)) for x in trees.leaves(tree)]
    if found != expected:
      raise errors.SavosError(
        f'a memory of arrays {found}.\n  Expected {expected}.'
      )
    probabilities, confidences, steps, *more = state
    self.guide(probabilities)
    self._confidences, self._steps = np.asarray(confidences), int(steps)
    if more:
      self._memory, self._merged = self._runtime.placed(
        trees.rebuilt(tree, more), self._references
      )

  def _learnt(self) -> list[Any]:
    """Returns the learnt arrays and lessons; empty without a learner."""
    if self._learner is None:
      return []
    lessons = [*self._lessons, *([self._found] if self._found else [])]
    if not lessons:
      blank = np.zeros(self._geometry.size, np.uint8)
      lessons = [lessons_lib.Lesson(np.stack([blank] * 3, axis=2), blank)]
    count = np.array([self._turns, len(self._lessons)], np.int32)
    frames, labels = map(np.stack, zip(*lessons, strict=True))
    return [*self._learner.learnt(self._params), count, frames, labels]

  def _relearn(self, learnt: Sequence[np.ndarray]) -> None:
    """Restores what `_learnt` returned."""
    assert self._learner is not None
    *arrays, (turns, given), frames, labels = learnt
    self._params = self._learner.relearn(self._loaded, arrays)
    lessons = [
      lessons_lib.Lesson(*one) for one in zip(frames, labels, strict=True)
    ]
    self._turns, self._lessons = int(turns), lessons[:given]
    rest = [lesson for lesson in lessons[given:] if lesson.labels.any()]
    self._found = rest[0] if rest else None
    self._encode_again()

  def guide(self, probabilities: np.ndarray) -> None:
    """Sets the guidance for the next frame.

    Args:
      probabilities: the value of the `probabilities` property after some frame,
        for the same objects.

    Raises:
      SavosError: the shape does not match the objects and the frame size.
    """
    found = np.asarray(probabilities, np.float32)
    expected = (len(self._ids), *self._geometry.size) if self._ids else ()
    if found.shape != expected:
      raise errors.SavosError(
        f'probabilities of shape {found.shape}.\n  Expected {expected}.'
      )
    bottom, right = self._geometry.padding
    padded = np.pad(found, ((0, 0), (0, bottom), (0, right)))
    self._guidance = self._runtime.placed(padded, self._references)
    self._confidences = self._runtime.confidence(self._guidance, self._size)

  def compile_ahead(self, height: int, width: int, objects: int) -> None:
    """Starts compiling `step` in another thread and returns immediately.

    The first frame can be decoded and encoded in the meantime; the first `step`
    waits for the thread. Useful for a single video only: `step_together` uses a
    different compiled function.

    Args:
      height: of the video's frames, pixels.
      width: of the video's frames, pixels.
      objects: number of objects to segment.
    """
    geometry = self._geometry_of(height, width).kind
    kind = self._runtime.key, self._config, geometry, objects
    if kind in _compiled_ahead:
      return
    _compiled_ahead.add(kind)
    # Not a daemon: a process that exits while XLA is compiling aborts, even if
    # its work is done.
    self._ahead = threading.Thread(
      target=self._compile, args=((height, width), objects)
    )
    self._ahead.start()

  def _compile(self, shape: tuple[int, int], objects: int) -> None:
    """Prepares the runtime for `step`."""
    geometry = self._geometry_of(*shape)
    # Real errors recur in the first `step`.
    with contextlib.suppress(Exception):
      self._runtime.compile(
        self._loaded,
        objects,
        geometry,
        self._finishing(geometry, objects),
        union=self._config.merged and objects > 1,
        memory_frames=self._config.memory_frames,
        chunk=self._config.chunk,
      )

  def start(
    self, frame: np.ndarray, labels: np.ndarray, object_ids: Iterable[int]
  ) -> None:
    """Starts a new video and adds all its objects at once.

    Args:
      frame: the first frame, RGB uint8 [H, W, 3].
      labels: the frame's labels, uint8 [H, W].
      object_ids: the ids in `labels` to segment, at least one.

    Raises:
      SavosError: as for `add_object`.
    """
    self.reset()
    ids = list(object_ids)
    self._add(frame, [labels == i for i in ids], ids)

  def add_object(
    self, frame: np.ndarray, mask: np.ndarray, object_id: int | None = None
  ) -> int:
    """Adds an object; `step` tracks it from the next frame on.

    Args:
      frame: the object's reference frame, RGB uint8 [H, W, 3]: the first frame,
        or the one last passed to `step`.
      mask: the object's mask in the frame, [H, W]: bool, integers (the object
        is above 0) or probabilities.
      object_id: the object's label, 1..254; None takes the lowest free id.

    Returns:
      The object's id.

    Raises:
      SavosError: the mask is empty or differs in size from the frame, the frame
        differs in size from the video's, or the id is taken.
    """
    if object_id is None:
      free = set(range(1, _MOST_OBJECTS + 1)) - set(self._ids)
      object_id = min(free, default=0)  # 0 is refused by `_add`.
    self._add(frame, [mask], [object_id])
    return object_id

  def set_reference(
    self, object_id: int, frame: np.ndarray, mask: np.ndarray
  ) -> None:
    """Replaces an object's reference.

    Args:
      object_id: the object's id.
      frame: the frame last passed to `step`, RGB uint8 [H, W, 3].
      mask: the object's mask in the frame, as for `add_object`.

    Raises:
      SavosError: as for `add_object`, or there is no such object.
    """
    order = list(self._ids)
    if object_id in order:  # Else `drop_object` raises.
      checks.check_frame(frame, self._geometry)
      checks.prepare_mask(mask, self._geometry)
    self.drop_object(object_id)
    self._add(frame, [mask], [object_id])
    # The object was added at the end; move it back to its place.
    self._take([self._ids.index(i) for i in order])

  def drop_object(self, object_id: int) -> None:
    """Stops segmenting an object.

    Raises:
      SavosError: there is no such object.
    """
    if object_id not in self._ids:
      raise errors.SavosError(
        f'object {object_id} is not segmented.\n'
        f'  Expected one of {self._ids or "none: there are no objects yet"}.'
      )
    self._take([k for k, i in enumerate(self._ids) if i != object_id])

  @property
  def learns(self) -> bool:
    """Whether the network is fine-tuned on the video."""
    return self._learner is not None

  def adapt(self, frame: np.ndarray, labels: np.ndarray) -> None:
    """Fine-tunes the network on a frame's objects (online learning, 6.4.1).

    Earlier frames passed to `adapt` in this video are trained on again. The
    changes last for this video only: `reset` and `start` restore the original
    parameters exactly.

    Args:
      frame: the frame in which the objects were added, or the one last passed
        to `step`, RGB uint8 [H, W, 3].
      labels: the frame's labels, uint8 [H, W]: the objects' ids; other ids mark
        things the objects must not be confused with.

    Raises:
      SavosError: there is no object yet, there is no learner, a size does not
        match, or the training diverges.
    """
    if self._learner is None:
      raise errors.SavosError(
        'there is nobody to teach the network.\n  Expected a Tracker with a '
        'learner, as training.online has it.'
      )
    checks.check_frame(frame, self._geometry)
    checks.prepare_mask(labels, self._geometry)
    if not self._ids:  # All have been dropped.
      return
    height, width = self._geometry.size
    small = cv2.resize(labels, (width, height), interpolation=_NEAREST)
    seen = self._geometry.prepare(frame)[:height, :width]
    self._lessons.append(lessons_lib.Lesson(seen, small))
    self._learn()

  def _learn(self, again: bool = False) -> None:
    """Fine-tunes the network on all lessons."""
    assert self._learner is not None
    began = time.perf_counter()
    last = [self._found] if self._found else []
    # Learning at one scale is enough for all.
    config = dataclasses.replace(self._config, scales=(1.0,), flip=False)
    shape = self._geometry.shape
    self._params = self._learner.learn(
      self._params,
      [*self._lessons, *last],
      geometry_lib.of(shape, config, self._aspect),
      self._turns,
      again=again,
    )
    self._turns += 1
    self._encode_again()
    self.seconds_learning += time.perf_counter() - began

  def _encode_again(self) -> None:
    """Encodes all objects' references with the current parameters."""
    references: dict[int, Any] = {}
    last, guidance = self._frame, self._guidance
    for frame in {id(x): x for x, _ in self._shown.values()}.values():
      ids = [i for i in self._ids if self._shown[i][0] is frame]
      self._frame = frame
      found, _ = self._encode(np.stack([self._shown[i][1] for i in ids]))
      references |= {
        i: trees.mapped(lambda x, k=k: x[k : k + 1], found)
        for k, i in enumerate(ids)
      }
    self._frame, self._guidance = last, guidance
    self._references = _concatenate(*(references[i] for i in self._ids))
    self._merged = None

  def _learn_again(self) -> None:
    """Learns from the latest prediction if the learner asks for it."""
    if self._learner is None or not self._learner.every:
      return
    sure = self.confidences.min() >= self._learner.confidence
    if self._steps % self._learner.every or not (sure and self._lessons):
      return
    assert self._frame is not None
    height, width = self._geometry.size
    mode = self._config.aggregation
    labels = self._runtime.label(self.probabilities, mode, None)
    ids = np.array([0, *self._ids], np.uint8)
    frame = self._frame[:height, :width]
    self._found = lessons_lib.Lesson(frame, ids[np.asarray(labels)])
    self._learn(again=True)

  def step(self, frame: np.ndarray) -> np.ndarray:
    """Segments the next frame.

    Args:
      frame: RGB uint8 [H, W, 3], of the first frame's size.

    Returns:
      Labels, uint8 [H, W]: the objects' ids, 0 for the background; refined if
      `InferenceConfig.crf` is set.

    Raises:
      SavosError: the frame differs in size from the first, no object was ever
        added, or the network's output is NaN; in the last case, call `reset`
        before the next video.
    """
    labels = self._step(frame)
    if not self.refines:
      return labels
    return self.refine(frame, self.probabilities, self._ids)

  def _step(self, frame: np.ndarray) -> np.ndarray:
    """Segments the next frame, without refining the labels."""
    checks.check_frame(frame, self._geometry)
    if not self._ids:
      self._frame = self._geometry.prepare(frame)
      return np.zeros(self._geometry.shape, np.uint8)
    if self._ahead:
      self._ahead.join()
      self._ahead = None
    inputs = self._begin(frame)
    found = self._runtime.step(
      self._params,
      inputs,
      self._geometry,
      self._finishing(self._geometry, len(self._ids)),
      self._config.chunk,
      self._skipped(),
    )
    return self._end(found)

  def label(
    self, probabilities: np.ndarray, object_ids: Sequence[int]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Labels a frame of this video from probabilities computed elsewhere.

    Args:
      probabilities: the objects', float32 [K, h, w], as in the `probabilities`
        property; they may come from several trackers.
      object_ids: the K objects' ids, in the same order.

    Returns:
      Labels, uint8 [H, W], and each object's confidence, float32 [K], both as
      after `step`; the labels are not refined.
    """
    labels = self._runtime.label(
      probabilities, self._config.aggregation, self._geometry.labels_size
    )
    sure = self._runtime.confidence(probabilities, self._size)
    ids = np.array([0, *object_ids], np.uint8)
    return ids[np.asarray(labels)], np.asarray(sure)

  @property
  def refines(self) -> bool:
    """Whether labels are refined by the CRF."""
    return self._config.crf and bool(self._ids)

  def refine(
    self,
    frame: np.ndarray,
    probabilities: Any,
    object_ids: Sequence[int],
  ) -> np.ndarray:
    """Labels a frame of this video with the dense CRF.

    The guidance for the next frame is unaffected.

    Args:
      frame: RGB uint8 [H, W, 3].
      probabilities: as for `label`.
      object_ids: as for `label`.

    Returns:
      The refined labels, uint8 [H, W].
    """
    classes = self.classes(probabilities)
    ids = np.array([0, *object_ids], np.uint8)
    return ids[dense_crf.refine(frame, classes, self._config)]

  def classes(self, probabilities: Any) -> np.ndarray:
    """Returns the probabilities that labels are chosen by, at the frames' size.

    Args:
      probabilities: as for `label`.

    Returns:
      Float32 [K + 1, H, W], the background first.
    """
    return np.asarray(
      self._runtime.classes(
        probabilities, self._config.aggregation, self._geometry.labels_size
      )
    )

  def kind_of(self, height: int, width: int, objects: int) -> Hashable:
    """Returns a key for grouping videos for `step_together`.

    Args:
      height: of a video's frames, pixels.
      width: of a video's frames, pixels.
      objects: number of its objects.

    Returns:
      A value that is equal for videos sharing all compiled functions.
    """
    # A tracker that learns has parameters of its own.
    own = id(self) if self.learns else None
    return self._geometry_of(height, width).kind, objects, own

  # --- Internal. -------------------------------------------------------------

  def _geometry_of(self, height: int, width: int) -> geometry_lib.Geometry:
    return geometry_lib.of((height, width), self._config, self._aspect)

  @property
  def _geometry(self) -> geometry_lib.Geometry:
    """The video's geometry; raises SavosError before the first object."""
    if self._opened is None:
      raise errors.SavosError(
        'there is nothing to segment yet.\n  Expected an object: add_object '
        'with the first frame and its mask.'
      )
    return self._opened

  @property
  def _kind(self) -> Hashable:
    kind = self.kind_of(*self._geometry.shape, len(self._ids))
    return self._runtime.key, self._config, kind

  def _add(self, frame, masks, ids) -> None:
    """Adds objects; if one is invalid, none is added."""
    taken = set(self._ids) & set(ids)
    if taken or len(set(ids)) < len(ids) or not ids:
      raise errors.SavosError(
        f'objects {ids} cannot be added to {self._ids}.\n'
        '  Expected at least one, each with an id of its own.'
      )
    if not all(1 <= i <= _MOST_OBJECTS for i in ids):
      raise errors.SavosError(
        f'object ids {ids}.\n  Expected numbers from 1 to {_MOST_OBJECTS}.'
      )
    checks.check_frame(frame, self._opened)
    height, width, _ = frame.shape
    geometry = self._geometry_of(height, width)
    prepared = np.stack([checks.prepare_mask(mask, geometry) for mask in masks])
    self._opened, self._frame = geometry, geometry.prepare(frame)
    if self.learns:
      shown = ((self._frame, mask) for mask in prepared)
      self._shown |= zip(ids, shown, strict=True)
    references, guidance = self._encode(prepared)
    memory = self._empty_memory(references)
    sure = np.ones(len(ids), np.float32)
    if self._ids:
      if memory is not None and self._memory is not None:
        views = _concatenate(self._memory.views, memory.views)
        memory = runtime_lib.Memory(views, self._memory.slot)
      references = _concatenate(self._references, references)
      guidance = _concatenate(self._guidance, guidance)
      sure = np.concatenate([self.confidences, sure])
    self._ids += ids
    self._references, self._guidance = references, guidance
    self._memory, self._confidences = memory, sure
    self._merged = None

  def _empty_memory(self, references) -> runtime_lib.Memory | None:
    frames = self._config.memory_frames
    return self._runtime.empty_memory(references, frames) if frames else None

  def _take(self, positions: list[int]) -> None:
    """Selects the objects at these positions, in this order."""
    kept = {self._ids[k] for k in positions}
    self._shown = {i: x for i, x in self._shown.items() if i in kept}
    index = np.asarray(positions, np.int32)
    self._ids = [self._ids[k] for k in positions]
    self._references = trees.mapped(lambda r: r[index], self._references)
    self._guidance = self._guidance[index]
    self._confidences = self._confidences[index]
    if self._memory is not None:
      views = trees.mapped(lambda x: x[index], self._memory.views)
      self._memory = runtime_lib.Memory(views, self._memory.slot)
    self._merged = None

  @property
  def _size(self) -> np.ndarray:
    return np.asarray(self._geometry.size, np.int32)

  @property
  def _needs_union(self) -> bool:
    return self._config.merged and len(self._ids) > 1

  @property
  def _chunked(self) -> bool:
    count = len(self._ids) + self._needs_union
    return 0 < self._config.chunk < count

  def _finishing(
    self, geometry: geometry_lib.Geometry, objects: int
  ) -> runtime_lib.Finishing:
    # A single object is not aggregated, so 'merged' needs no union for it.
    return runtime_lib.Finishing(
      self._config.aggregation,
      self._config.background if objects > 1 else 'max',
      geometry.labels_size,
      self._config.memory_confidence,
      self._config.focus,
    )

  def _encode(self, masks):
    assert self._frame is not None
    return self._runtime.encode(
      self._params, self._frame, masks, self._geometry
    )

  def _all_references(self) -> tuple[Any, ...]:
    """Returns the objects' references, followed by the union's if needed."""
    if not self._needs_union:
      return self._references
    if self._merged is None:
      # From the frame in which the set of objects last changed.
      self._merged, _ = self._encode(aggregation.union(self._guidance))
    return _concatenate(self._references, self._merged)

  def _begin(self, frame: np.ndarray) -> runtime_lib.Inputs:
    """Takes the next frame and returns the inputs of the step."""
    references = self._all_references()  # May need the last frame.
    self._frame = seen = self._geometry.prepare(frame)
    return runtime_lib.Inputs(
      seen, self._guidance, references, self._size, self._next_memory()
    )

  def _skipped(self) -> list[int]:
    """Returns the objects that this frame is not searched for, as positions.

    Not all lost ones are searched for in the same frame.
    """
    every = self._config.lost_every
    if every == 1:
      return []
    return [
      k
      for k in np.flatnonzero(self.confidences == 0).tolist()
      if (self._steps + k) % every
    ]

  def _next_memory(self) -> runtime_lib.Memory | None:
    """Returns the memory with the slot for the next frame."""
    self._steps += 1
    if self._memory is None:
      return None
    between, every = self._config.memory_frames - 1, self._config.memory_every
    slot = 0
    if between and self._steps % every == 0:
      slot = 1 + (self._steps // every - 1) % between
    return runtime_lib.Memory(self._memory.views, np.int32(slot))

  def _end(self, found: runtime_lib.Outputs) -> np.ndarray:
    """Stores the step's outputs and returns the labels."""
    # The soft prediction guides the next frame; it is never binarised.
    self._guidance, labels, self._confidences, self._memory = found
    unknown = np.isnan(self.confidences)
    if unknown.any():
      ids = [i for i, no in zip(self._ids, unknown, strict=True) if no]
      raise errors.SavosError(
        f'objects {ids}: what the network finds is no number.\n  Expected '
        'probabilities: its parameters are damaged, or too large for the '
        'dtype of its computation. Take another network.'
      )
    self._learn_again()
    height, width = self._geometry.shape
    table = np.array([0, *self._ids], np.uint8)
    return table[np.asarray(labels)[:height, :width]]


def step_together(
  trackers: Sequence[Tracker], frames: Sequence[np.ndarray], slots: int = 0
) -> list[np.ndarray]:
  """Segments the next frame of several videos in one compiled call.

  Trackers that segment their objects in chunks, or do not search for lost ones
  in every frame, step one by one.

  Args:
    trackers: at least one; all with the same network, configuration and
      `kind_of` video.
    frames: the next frame of each tracker, as for `Tracker.step`.
    slots: number of videos to compile for; with fewer trackers, the last one's
      inputs are repeated. 0: the number of trackers.

  Returns:
    The labels for each tracker, as from `Tracker.step` but not refined.

  Raises:
    SavosError: as for `Tracker.step`, or the trackers cannot step together. No
      tracker has advanced then, unless the network's output was NaN.
  """
  for tracker, frame in zip(trackers, frames, strict=True):
    checks.check_frame(frame, tracker._geometry)
  first = trackers[0]
  for tracker in trackers[1:]:
    if tracker._kind != first._kind or tracker._params is not first._params:
      raise errors.SavosError(
        'trackers that are not of one kind cannot step together.\n  Expected '
        'one network and config, one padded size and number of objects.'
      )
  slots = max(slots, len(trackers))
  alone = first._chunked or first._config.lost_every > 1
  if slots == 1 or alone or not first._ids:
    return [t._step(f) for t, f in zip(trackers, frames, strict=True)]
  inputs = [t._begin(f) for t, f in zip(trackers, frames, strict=True)]
  inputs += inputs[-1:] * (slots - len(trackers))
  finishing = first._finishing(first._geometry, len(first._ids))
  found = first._runtime.step_videos(
    first._params, inputs, first._geometry, finishing
  )
  # The results of the repeated inputs are dropped.
  return [t._end(f) for t, f in zip(trackers, found, strict=False)]


def _runtime_of(model: Any) -> runtime_lib.Runtime:
  if isinstance(model, runtime_lib.Runtime):
    return model
  # Slow to import, and unavailable where only ONNX Runtime is installed.
  from savos_jax.inference import with_jax

  return with_jax.Jax(model)


def _concatenate(*parts: Any) -> Any:
  """Concatenates trees of arrays [K, ...] along the objects."""
  return trees.mapped(
    lambda *arrays: arrays[0].__array_namespace__().concat(arrays), *parts
  )
