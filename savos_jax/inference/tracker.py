"""Segments the objects of a video, frame by frame (SAVOS, section 5).

The state of an object is its reference's features, one mask, and with a network
that looks back a few remembered frames: it does not grow with the length of the
video, and the video is never held.

In float32, at 256x448 with 128 channels in the decoder (half width), an object
takes 57,344 bytes for its reference's features and 458,752 for its mask; with a
look back of 64 + 128 channels another 344,064 for its reference and as many for
each of `memory_frames`: 2.6 MB in all with five. With `zoom` the mask is kept
at up to four times the window's height and width. In bfloat16 all but the mask
is half of that.
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

# What this process has compiled ahead: of many videos of a kind only the first
# has something to wait for.
_compiled_ahead: set[Hashable] = set()
_NEAREST = cv2.INTER_NEAREST_EXACT
_MOST_OBJECTS = 254  # Ids are uint8, 0 is the background, 255 void.


class Tracker:
  """Segments the objects of one video after another.

  Objects may be added at any frame, be given another reference, and be dropped:

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
    """Keeps the network.

    Args:
      model: the network, a `savos.SAVOS`; or what runs one, a
        `runtime.Runtime`.
      params: its parameters; not looked at by a runtime that has them.
      config: how to segment; None is the paper's way at one scale.
      pixel_aspect: width of the frames' pixels as shown, by their height. The
        network sees frames as they are shown; labels are of their pixels.
      learner: teaches it a video's objects, see `adapt`; None: it stays as it
        is.

    Raises:
      SavosError: the runtime cannot do what the configuration asks for.
    """
    self._runtime = _runtime_of(model)
    self._loaded = params
    self._learner = learner
    self._config = config or options.InferenceConfig()
    self._aspect = pixel_aspect
    self._ahead: threading.Thread | None = None  # It compiles.
    self._runtime.check(self._config)
    if self._config.crf:
      dense_crf.require()  # Before anything takes long.
    self.reset()

  def reset(self) -> None:
    """Forgets the video: its objects, its frames' size, what was learnt."""
    self._params = self._loaded
    self._lessons: list[lessons_lib.Lesson] = []  # With masks that were given.
    self._found: lessons_lib.Lesson | None = None  # The last one without.
    self._turns = 0  # In which was learnt.
    # Of each object the frame and the mask of its reference, where they may
    # have to be encoded again.
    self._shown: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    self.seconds_learning = 0.0
    self._opened: geometry_lib.Geometry | None = None
    self._ids: list[int] = []
    self._frame: np.ndarray | None = None  # The last one, as prepared.
    # For every view, [K, ...]; and [K, H, W].
    self._references: tuple[Any, ...] = ()
    self._guidance: Any = np.zeros((0, 0, 0), np.float32)
    self._confidences: Any = np.zeros(0, np.float32)
    # Of the union of all objects, where the background is 'merged'; None after
    # the objects have changed.
    self._merged: tuple[Any, ...] | None = None
    # Frames besides the reference; None where the network does not look back.
    self._memory: runtime_lib.Memory | None = None
    self._steps = 0  # Frames since the first.

  @property
  def object_ids(self) -> tuple[int, ...]:
    """The objects in the order of their probabilities."""
    return tuple(self._ids)

  @property
  def probabilities(self) -> Any:
    """Each object's in the last frame, float32 [K, h, w], as it was shrunk.

    An array of the runtime's library: JAX's or NumPy's.

    Raises:
      SavosError: no object was ever added.
    """
    height, width = self._geometry.size
    return self._guidance[:, :height, :width]

  @property
  def confidences(self) -> np.ndarray:
    """How sure each object's mask in the last frame is, float32 [K].

    The mean probability of its pixels, those above one half; 0 where it has
    none: it is lost, or out of sight. 1 in a frame whose mask was given.
    """
    return np.asarray(self._confidences)

  def state(self) -> list[Any]:
    """Returns what the next frame needs to know: arrays for `restore`."""
    steps = np.int32(self._steps)
    more = trees.leaves(self._more_state())
    learnt = self._learnt()
    return [self.probabilities, self.confidences, steps, *more, *learnt]

  def _more_state(self):
    """What a network or a configuration may have besides the probabilities."""
    if self._needs_union:
      self._all_references()  # That of the union is made where it is needed.
    return self._memory, self._merged

  def restore(self, state: Sequence[np.ndarray]) -> None:
    """Goes on after an interruption, as if there had been none.

    Args:
      state: from `state`, after some frame, with the same objects, references
        and network.

    Raises:
      SavosError: it is of other objects, another size or network.
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
    """What the network has learnt, and from what; nothing without a learner."""
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
    """Undoes `_learnt`."""
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
    """Sets what guides the next frame.

    Args:
      probabilities: what the property of this name was after some frame, for
        the same objects.

    Raises:
      SavosError: they are of other objects or another size.
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
    """Has `step` compiled in another thread, while the caller goes on.

    Meanwhile the first frame can be decoded and encoded; the first `step` waits
    for it. Good for one video: of several that step together another function
    is compiled.

    Args:
      height: of the video's frames, pixels.
      width: of them, pixels.
      objects: how many are to be segmented.
    """
    geometry = self._geometry_of(height, width).kind
    kind = self._runtime.key, self._config, geometry, objects
    if kind in _compiled_ahead or not self._runtime.compiles:
      return
    _compiled_ahead.add(kind)
    # No daemon: a process that ends while XLA compiles aborts, all done or not.
    self._ahead = threading.Thread(
      target=self._step_on_nothing, args=((height, width), objects)
    )
    self._ahead.start()

  def _step_on_nothing(self, shape: tuple[int, int], objects: int) -> None:
    other = Tracker(self._runtime, self._params, self._config, self._aspect)
    # Nothing need make sense; what is really wrong, the first `step` says too.
    with contextlib.suppress(Exception):
      other._begin_empty(shape, objects)
      other.step(np.zeros((*shape, 3), np.uint8))

  def _begin_empty(self, shape: tuple[int, int], objects: int) -> None:
    """Begins a video in which nothing is known of the objects."""
    self._opened = self._geometry_of(*shape)
    self._ids = list(range(1, objects + 1))
    self._frame = self._geometry.prepare(np.zeros((*shape, 3), np.uint8))
    self._references, self._guidance = self._runtime.nothing(
      self._params, self._frame, objects, self._geometry
    )
    self._memory = self._empty_memory(self._references)
    self._confidences = np.zeros(objects, np.float32)

  def start(
    self, frame: np.ndarray, labels: np.ndarray, object_ids: Iterable[int]
  ) -> None:
    """Begins a video: forgets the one before, adds objects in one go.

    Args:
      frame: the first frame, RGB uint8 [H, W, 3].
      labels: its mask, uint8 [H, W].
      object_ids: which of its ids to segment, at least one.

    Raises:
      SavosError: as `add_object`.
    """
    self.reset()
    ids = list(object_ids)
    self._add(frame, [labels == i for i in ids], ids)

  def add_object(
    self, frame: np.ndarray, mask: np.ndarray, object_id: int | None = None
  ) -> int:
    """Adds an object from here on; `step` goes on with the next frame.

    Args:
      frame: its reference, RGB uint8 [H, W, 3]: the first frame, or the one
        that `step` was given last.
      mask: of the object in it: bool, 0 and more, or probabilities, [H, W].
      object_id: its label, 1..254; None takes the next that is free.

    Returns:
      The object's id.

    Raises:
      SavosError: the mask is empty, of another size than the frame, or the
        frame of another size than the video's; or the id is taken.
    """
    if object_id is None:
      free = set(range(1, _MOST_OBJECTS + 1)) - set(self._ids)
      object_id = min(free, default=0)  # Which is refused.
    self._add(frame, [mask], [object_id])
    return object_id

  def set_reference(
    self, object_id: int, frame: np.ndarray, mask: np.ndarray
  ) -> None:
    """Gives an object another reference, in place of the one that it has.

    Args:
      object_id: the object.
      frame: the frame that `step` was given last, RGB uint8 [H, W, 3].
      mask: of the object in it, as for `add_object`.

    Raises:
      SavosError: as `add_object`, or no such object.
    """
    order = list(self._ids)
    if object_id in order:  # Else `drop_object` says so.
      checks.check_frame(frame, self._geometry)
      checks.prepare_mask(mask, self._geometry)
    self.drop_object(object_id)
    self._add(frame, [mask], [object_id])
    # It was added at the end; back to its place.
    self._take([self._ids.index(i) for i in order])

  def drop_object(self, object_id: int) -> None:
    """Segments an object no longer.

    Raises:
      SavosError: no such object.
    """
    if object_id not in self._ids:
      raise errors.SavosError(
        f'object {object_id} is not segmented.\n'
        f'  Expected one of {self._ids or "none: there are no objects yet"}.'
      )
    self._take([k for k, i in enumerate(self._ids) if i != object_id])

  @property
  def learns(self) -> bool:
    """Whether the network is taught what is in a video."""
    return self._learner is not None

  def adapt(self, frame: np.ndarray, labels: np.ndarray) -> None:
    """Teaches the network the objects of a frame (online learning, 6.4.1).

    What was learnt in this video before is learnt from again. It is good for
    this video alone: `reset` and `start` bring the network back, bit for bit.

    Args:
      frame: the one that the objects were added in, or that `step` was given
        last, RGB uint8 [H, W, 3].
      labels: what is where in it, uint8 [H, W]: the objects' ids, others are
        what they must not be mistaken for.

    Raises:
      SavosError: there is no object yet or no learner, a size is another one,
        or the learning diverges.
    """
    if self._learner is None:
      raise errors.SavosError(
        'there is nobody to teach the network.\n  Expected a Tracker with a '
        'learner, as training.online has it.'
      )
    checks.check_frame(frame, self._geometry)
    checks.prepare_mask(labels, self._geometry)
    if not self._ids:  # All were dropped.
      return
    height, width = self._geometry.size
    small = cv2.resize(labels, (width, height), interpolation=_NEAREST)
    seen = self._geometry.prepare(frame)[:height, :width]
    self._lessons.append(lessons_lib.Lesson(seen, small))
    self._learn()

  def _learn(self, again: bool = False) -> None:
    """Learns from all lessons."""
    assert self._learner is not None
    began = time.perf_counter()
    last = [self._found] if self._found else []
    # What is learnt at one scale serves at all.
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
    """Encodes the references of all objects with the parameters as they are."""
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
    """Learns from the last frame as well, where that is asked for."""
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
      Labels, uint8 [H, W], with the objects' ids; 0 is the background. With
      `InferenceConfig.crf` they are refined.

    Raises:
      SavosError: the frame is of another size, no object was ever added, or
        what the network finds is no number: `reset` before the next video.
    """
    labels = self._step(frame)
    if not self.refines:
      return labels
    return self.refine(frame, self.probabilities, self._ids)

  def _step(self, frame: np.ndarray) -> np.ndarray:
    """Segments the next frame; its labels are not refined."""
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
      self._finishing(),
      self._config.chunk,
    )
    return self._end(found)

  def label(
    self, probabilities: np.ndarray, object_ids: Sequence[int]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Labels a frame of this video by probabilities that were made elsewhere.

    Args:
      probabilities: each object's, float32 [K, h, w], as the property of this
        name has them; they may come from several trackers.
      object_ids: whose they are, K.

    Returns:
      Labels, uint8 [H, W], and how sure each object is, float32 [K], both as
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
    """Whether labels are to be refined by the CRF."""
    return self._config.crf and bool(self._ids)

  def refine(
    self,
    frame: np.ndarray,
    probabilities: Any,
    object_ids: Sequence[int],
  ) -> np.ndarray:
    """Labels a frame of this video by probabilities and by its picture.

    Nothing that guides the next frame depends on it.

    Args:
      frame: RGB uint8 [H, W, 3].
      probabilities: as for `label`.
      object_ids: as for `label`.

    Returns:
      Labels, uint8 [H, W], of the dense CRF.
    """
    classes = self.classes(probabilities)
    ids = np.array([0, *object_ids], np.uint8)
    return ids[dense_crf.refine(frame, classes, self._config)]

  def classes(self, probabilities: Any) -> np.ndarray:
    """Returns what labels are decided by, at the size of the video's frames.

    Args:
      probabilities: as for `label`.

    Returns:
      Float32 [K + 1, H, W], the background in front.
    """
    return np.asarray(
      self._runtime.classes(
        probabilities, self._config.aggregation, self._geometry.labels_size
      )
    )

  def kind_of(self, height: int, width: int, objects: int) -> Hashable:
    """Tells which videos `step_together` can take.

    Args:
      height: of a video's frames, pixels.
      width: of them, pixels.
      objects: how many it has.

    Returns:
      What is equal for videos that share all that is compiled.
    """
    # What has learnt is a network of its own.
    own = id(self) if self.learns else None
    return self._geometry_of(height, width).kind, objects, own

  # --- Inside. ---------------------------------------------------------------

  def _geometry_of(self, height: int, width: int) -> geometry_lib.Geometry:
    return geometry_lib.of((height, width), self._config, self._aspect)

  @property
  def _geometry(self) -> geometry_lib.Geometry:
    """The video's; SavosError before the first object."""
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
    """Adds objects; nothing changes if one of them is refused."""
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
    """Keeps the objects at these positions, in this order."""
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

  def _finishing(self) -> runtime_lib.Finishing:
    # One object has no union: its background isn't asked for.
    return runtime_lib.Finishing(
      self._config.aggregation,
      self._config.background if len(self._ids) > 1 else 'max',
      self._geometry.labels_size,
      self._config.memory_confidence,
    )

  def _encode(self, masks):
    assert self._frame is not None
    return self._runtime.encode(
      self._params, self._frame, masks, self._geometry
    )

  def _all_references(self) -> tuple[Any, ...]:
    """Returns the objects' references, and with them the union's if needed."""
    if not self._needs_union:
      return self._references
    if self._merged is None:
      # As the objects are in the frame in which they were last changed.
      self._merged, _ = self._encode(aggregation.union(self._guidance))
    return _concatenate(self._references, self._merged)

  def _begin(self, frame: np.ndarray) -> runtime_lib.Inputs:
    """Takes the next frame and returns what the network is to see."""
    references = self._all_references()  # May need the frame before.
    self._frame = seen = self._geometry.prepare(frame)
    return runtime_lib.Inputs(
      seen, self._guidance, references, self._size, self._next_memory()
    )

  def _next_memory(self) -> runtime_lib.Memory | None:
    """Returns the memory, told where the next frame goes."""
    self._steps += 1
    if self._memory is None:
      return None
    between, every = self._config.memory_frames - 1, self._config.memory_every
    slot = 0
    if between and self._steps % every == 0:
      slot = 1 + (self._steps // every - 1) % between
    return runtime_lib.Memory(self._memory.views, np.int32(slot))

  def _end(self, found: runtime_lib.Outputs) -> np.ndarray:
    """Keeps what guides the next frame and returns the labels."""
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

  Trackers that segment their objects in chunks step one by one.

  Args:
    trackers: at least one, all of one network, config and `kind_of` video.
    frames: a tracker's next frame each, as for `Tracker.step`.
    slots: how many videos the call is compiled for; where there are fewer
      trackers, the last one's work is repeated. 0: as many as there are.

  Returns:
    Labels a tracker, as `Tracker.step` returns them, not refined.

  Raises:
    SavosError: as `Tracker.step`, or the trackers cannot step together. No
      tracker has stepped then, unless the network found what is no number.
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
  if slots == 1 or first._chunked or not first._ids:
    return [t._step(f) for t, f in zip(trackers, frames, strict=True)]
  inputs = [t._begin(f) for t, f in zip(trackers, frames, strict=True)]
  inputs += inputs[-1:] * (slots - len(trackers))
  found = first._runtime.step_videos(
    first._params, inputs, first._geometry, first._finishing()
  )
  # The repeated ones are dropped.
  return [t._end(f) for t, f in zip(trackers, found, strict=False)]


def _runtime_of(model: Any) -> runtime_lib.Runtime:
  if isinstance(model, runtime_lib.Runtime):
    return model
  # Takes long to import, and is not there where only ONNX Runtime is.
  from savos_jax.inference import with_jax

  return with_jax.Jax(model)


def _concatenate(*parts: Any) -> Any:
  """Puts the objects of trees of arrays [K, ...] behind each other."""
  return trees.mapped(
    lambda *arrays: arrays[0].__array_namespace__().concat(arrays), *parts
  )
