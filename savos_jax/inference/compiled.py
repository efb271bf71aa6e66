"""What the tracker compiles: one frame, K objects, all views of it.

A frame comes padded to multiples of 32, with its true size as an array: sizes
that pad to the same one share what is compiled. Views that resize or mirror
need the true size when they are compiled, as `static_size`; windows do not.
"""

from collections.abc import Sequence
import dataclasses
import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np

from savos_jax.inference import aggregation
from savos_jax.inference import jitted
from savos_jax.inference import runtime
from savos_jax.inference import scales
from savos_jax.inference import sight as sight_lib
from savos_jax.inference import zoom as zoom_lib
from savos_jax.models import matching
from savos_jax.models import savos

_SEEING = ('model', 'views', 'static_size', 'windows')


def encoded(model, params, frame, masks, size, *, views, static_size, windows):
  """Encodes a frame as the reference of K objects.

  Args:
    model: the network.
    params: its parameters.
    frame: uint8 [H, W, 3], padded.
    masks: float32 [K, H, W], padded.
    size: int32 [2], the true height and width.
    views: how the network sees the frame.
    static_size: (height, width) where a view is not plain, else None.
    windows: what the views show, if it is not the frame.

  Returns:
    For every view the references of K objects; and the masks as the first
    guidance: coming out of a compiled function like every later one, they are
    placed like it, and `step` compiles once.
  """
  frames = frame[None].astype(jnp.float32) / 255.0
  if windows:
    # A mask that was given tells where the object is, however soft it is.
    windows = dataclasses.replace(windows, lost_confidence=0.0)
  sight = sight_lib.Sight(masks, size, static_size, windows)
  references = tuple(
    model.apply(
      {'params': params},
      sight.look(frames, view),
      sight.look(masks, view),
      size if view.plain else None,
      method=savos.SAVOS.encode_reference,
    )
    for view in views
  )
  return references, masks


# What is not used here still decides on which device the result is bound.
@functools.partial(jax.jit, keep_unused=True)
def placed(arrays, references):
  """Returns arrays as they would come out of `step`, so that it compiles once.

  Args:
    arrays: any tree of them: what guides, what is remembered.
    references: of the same objects, from `encode_references`.
  """
  del references
  return arrays


def probabilities(
  model,
  params,
  frame,
  guidance,
  references,
  size,
  memory,
  views,
  static_size,
  windows,
) -> tuple[jax.Array, tuple[matching.Trace | None, ...]]:
  """Returns each object's own probability, averaged over views.

  Returns:
    Float32 [K, H, W]; and what each view's frame leaves to be remembered.
  """
  frames = frame[None].astype(jnp.float32) / 255.0
  sight = sight_lib.Sight(guidance, size, static_size, windows)
  remembered = memory.views if memory else (None,) * len(views)
  found, traces = [], []
  for view, reference, seen in zip(views, references, remembered, strict=True):
    logits, trace = model.apply(
      {'params': params},
      sight.look(frames, view),
      sight.look(guidance, view),
      reference,
      size if view.plain else None,
      seen,
      method=savos.SAVOS.segment_traced,
    )
    # The softmax of two.
    own = jax.nn.sigmoid(logits[..., 1] - logits[..., 0])
    found.append(sight.back(own, view))
    traces.append(trace)
  return functools.reduce(operator.add, found) / len(views), tuple(traces)


@functools.partial(jax.jit, static_argnames='frames', keep_unused=True)
def empty_memory(
  references: Sequence[savos.Reference], frames: int
) -> runtime.Memory:
  """Returns a memory of so many frames in which nothing is yet.

  Args:
    references: for every view, of K objects, of a network that looks back. The
      memory is placed like them, as `placed` tells.
    frames: M, at least 1.
  """

  def empty(reference):
    keys, values = (
      jnp.zeros((x.shape[0], frames, *x.shape[1:]), x.dtype)
      for x in reference.remembered
    )
    return matching.Memory(keys, values, jnp.zeros(keys.shape[:2], bool))

  return runtime.Memory(tuple(map(empty, references)), jnp.int32(0))


def _put(
  old: matching.Memory, new: matching.Remembered, keep: jax.Array, slot
) -> matching.Memory:
  """Puts a frame into a slot, for the objects [K] that keep it."""

  def put(frames, frame):
    wide = keep.reshape(-1, *[1] * (frame.ndim - 1))
    return frames.at[:, slot].set(jnp.where(wide, frame, frames[:, slot]))

  return matching.Memory(
    put(old.keys, new.keys.astype(old.keys.dtype)),
    put(old.values, new.values.astype(old.values.dtype)),
    old.valid.at[:, slot].set(old.valid[:, slot] | keep),
  )


def _remember(
  model,
  params,
  traces,
  before,
  found,
  size,
  memory,
  keep,
  views,
  static_size,
  windows,
) -> runtime.Memory:
  """Adds the frame to the memory, seen through the windows it was seen in.

  Args:
    model: the network.
    params: its parameters.
    traces: from `probabilities`.
    before: the guidance that placed the windows, [K, H, W].
    found: the frame's own probabilities, [K, H, W].
    size: int32 [2].
    memory: before the frame.
    keep: which objects keep it, bool [K].
    views: see `step`, and the next two.
    static_size: see there.
    windows: see there.
  """
  sight = sight_lib.Sight(before, size, static_size, windows)
  after = []
  for view, trace, old in zip(views, traces, memory.views, strict=True):
    new = model.apply(
      {'params': params},
      trace,
      sight.look(found, view),
      size if view.plain else None,
      method=savos.SAVOS.remember,
    )
    # The last frame is always the first slot; a second place is kept longer.
    old = _put(old, new, keep, memory.slot)
    after.append(_put(old, new, keep, 0))
  return runtime.Memory(tuple(after), memory.slot)


encode_references = jitted.Jitted(encoded, static_argnames=_SEEING)
segment = jax.jit(probabilities, static_argnames=_SEEING)


def _with_union(guidance, references):
  """Adds the union where it has a reference: the background is 'merged'."""
  if references[0].share.shape[0] == guidance.shape[0]:
    return guidance
  return jnp.concatenate([guidance, aggregation.union(guidance)])


def _for_union(memory, references):
  """Adds the union, which has nothing but its reference, where there is one."""
  if memory is None:
    return None
  lacking = references[0].share.shape[0] - memory.views[0].valid.shape[0]

  def padded(x):
    return jnp.pad(x, [(0, lacking)] + [(0, 0)] * (x.ndim - 1))

  return runtime.Memory(jax.tree.map(padded, memory.views), memory.slot)


def _finish(probabilities, mode, background, labels_size):
  """Aggregates, and labels at the network's size or, enlarged, at another.

  The last of the probabilities is the union's where the background is
  'merged'.
  """
  merged = None
  if mode == 'softmax' and background == 'merged':
    probabilities, merged = probabilities[:-1], probabilities[-1]
  guidance = aggregation.aggregate(probabilities, mode, background, merged)
  return guidance, labelled(guidance, mode, labels_size)


def _enlarged(guidance, labels_size):
  """Returns [K, H, W] as it is or, enlarged, of another height and width."""
  if labels_size is None:
    return guidance
  shape = (guidance.shape[0], *labels_size)
  return jax.image.resize(guidance, shape, 'bilinear', antialias=False)


def labelled(guidance, mode, labels_size):
  """Labels [K, H, W] at its own size or, enlarged, at another."""
  return aggregation.labels(_enlarged(guidance, labels_size), mode)


@functools.partial(jax.jit, static_argnames=('mode', 'labels_size'))
def classes(guidance, mode, labels_size):
  """Returns what `label` decides by, [K + 1, ...]: the background in front."""
  objects = _enlarged(guidance, labels_size)
  return jnp.concatenate([aggregation.behind(objects, mode)[None], objects])


finish = jax.jit(_finish, static_argnames=('mode', 'background', 'labels_size'))
label = jax.jit(labelled, static_argnames=('mode', 'labels_size'))
remember = jax.jit(_remember, static_argnames=_SEEING)
confidence = jax.jit(aggregation.confidence)


def one_step(
  model,
  params,
  frame: jax.Array | np.ndarray,
  guidance: jax.Array,
  references: Sequence[savos.Reference],
  size: jax.Array | np.ndarray,
  memory: runtime.Memory | None = None,
  *,
  views: tuple[scales.View, ...],
  static_size: tuple[int, int] | None,
  windows: zoom_lib.Windows | None,
  mode: str,
  background: str,
  labels_size: tuple[int, int] | None,
  memory_confidence: float = 0.0,
) -> runtime.Outputs:
  """Segments a frame: `segment` and `finish` in one call.

  Args:
    model: the network.
    params: its parameters.
    frame: uint8 [H, W, 3], padded.
    guidance: probabilities in the frame before, float32 [K, H, W], padded.
    references: from `encode_references`, K a view; with a 'merged' background
      K + 1, the union's behind the objects'.
    size: int32 [2], the true height and width.
    memory: of the objects, the union not included; None: the reference alone.
    views: how the network sees the frame.
    static_size: (height, width) where a view is not plain, else None.
    windows: what the views show, if it is not the frame.
    mode: of the aggregation.
    background: of the aggregation.
    labels_size: height and width of the labels, where it is not the frame's.
    memory_confidence: from which on a frame is remembered of an object.

  Returns:
    What guides the next frame, and the labels.
  """
  seeing = {'views': views, 'static_size': static_size, 'windows': windows}
  own, traces = probabilities(
    model,
    params,
    frame,
    _with_union(guidance, references),
    references,
    size,
    _for_union(memory, references),
    **seeing,
  )
  found, labels = _finish(own, mode, background, labels_size)
  sure = aggregation.confidence(found, size)
  if memory is not None:
    keep = (sure > 0.0) & (sure >= memory_confidence)
    traces = jax.tree.map(lambda x: x[: found.shape[0]], traces)
    memory = _remember(
      model, params, traces, guidance, found, size, memory, keep, **seeing
    )
  return runtime.Outputs(found, labels, sure, memory)


def step_in_chunks(
  model,
  params,
  frame: jax.Array | np.ndarray,
  guidance: jax.Array,
  references: Sequence[savos.Reference],
  size: jax.Array | np.ndarray,
  memory: runtime.Memory | None = None,
  *,
  chunk: int,
  views: tuple[scales.View, ...],
  static_size: tuple[int, int] | None,
  windows: zoom_lib.Windows | None,
  memory_confidence: float = 0.0,
  **finishing,
) -> runtime.Outputs:
  """`step` for `chunk` objects at a time, at most as many as there are."""
  seeing = {'views': views, 'static_size': static_size, 'windows': windows}
  with_union = _with_union(guidance, references)
  seen = _for_union(memory, references)
  count = with_union.shape[0]
  parts, traces = [], []
  for first in range(0, count, chunk):
    # The last chunk goes back a little, so that all are of one size.
    begin = min(first, count - chunk)
    take = functools.partial(_rows, begin=begin, end=begin + chunk)
    part, left = segment(
      model,
      params,
      frame,
      take(with_union),
      take(references),
      size,
      None if seen is None else runtime.Memory(take(seen.views), seen.slot),
      **seeing,
    )
    parts.append(part[first - begin :])
    traces.append(_rows(left, first - begin, None))
  found, labels = finish(jnp.concatenate(parts), **finishing)
  sure = confidence(found, size)
  if memory is not None:
    keep = (sure > 0.0) & (sure >= memory_confidence)
    left = jax.tree.map(lambda *x: jnp.concatenate(x), *traces)
    left = _rows(left, 0, found.shape[0])
    memory = remember(
      model, params, left, guidance, found, size, memory, keep, **seeing
    )
  return runtime.Outputs(found, labels, sure, memory)


def _rows(tree, begin, end):
  """Returns the objects begin .. end of all arrays [K, ...]."""
  return jax.tree.map(lambda x: x[begin:end], tree)


def _step_videos(
  model, params, videos: tuple[runtime.Inputs, ...], **static
) -> list[runtime.Outputs]:
  """Segments a frame of each of several videos: `step` for all in one call.

  Args:
    model: the network.
    params: its parameters.
    videos: what `step` is given for each; shapes are the same in all.
    **static: as for `step`.

  Returns:
    What `step` returns for each.
  """

  def one(*inputs):
    return one_step(model, params, *inputs, **static)

  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *videos)
  found = jax.vmap(one)(*stacked)
  return [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(videos))]


# A frame from network to labels.
_STATIC = (
  *_SEEING, 'mode', 'background', 'labels_size', 'memory_confidence',
)  # fmt: skip
step = jitted.Jitted(one_step, static_argnames=_STATIC)
step_videos = jitted.Jitted(_step_videos, static_argnames=_STATIC)
