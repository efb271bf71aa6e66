"""The tracker's compiled functions: one frame, K objects, all views.

Frames are padded to multiples of 32 and their unpadded size is passed as an
array, so sizes with the same padded size share one compilation. Views that
resize or mirror need the unpadded size at compile time, as `static_size`;
windows do not.
"""

from collections.abc import Sequence
import dataclasses
import functools
import operator

import jax
from jax import export
import jax.numpy as jnp
import numpy as np

from savos_jax.inference import aggregation
from savos_jax.inference import focus as focus_lib
from savos_jax.inference import jitted
from savos_jax.inference import runtime
from savos_jax.inference import scales
from savos_jax.inference import sight as sight_lib
from savos_jax.inference import zoom as zoom_lib
from savos_jax.models import decoder
from savos_jax.models import matching
from savos_jax.models import savos

# For `traces`.
for _kind in (
  matching.Memory,
  matching.Remembered,
  runtime.Inputs,
  runtime.Memory,
  runtime.Outputs,
  savos.Reference,
):
  export.register_namedtuple_serialization(
    _kind, serialized_name=f'{_kind.__module__}.{_kind.__qualname__}'
  )

_SEEING = ('model', 'views', 'static_size', 'windows')


def encoded(model, params, frame, masks, size, *, views, static_size, windows):
  """Encodes a frame as the reference of K objects.

  Args:
    model: the network.
    params: its parameters.
    frame: uint8 [H, W, 3], padded.
    masks: float32 [K, H, W], padded.
    size: int32 [2], height and width without padding.
    views: how the network sees the frame.
    static_size: (height, width) if any view is not plain, else None.
    windows: how the windows are placed; None if the views show the whole frame.

  Returns:
    The references of the K objects for every view, and the masks as the initial
    guidance. Like all later guidance, the masks are the output of a compiled
    function, so they have the same device placement and `step` compiles once.
  """
  frames = frame[None].astype(jnp.float32) / 255.0
  if windows:
    # A given mask locates the object, however low its probabilities are.
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


# Unused arguments still determine which device the result is committed to.
@functools.partial(jax.jit, keep_unused=True)
def placed(arrays, references):
  """Places arrays like the outputs of `step`, so that it compiles only once.

  Args:
    arrays: a tree of arrays: guidance or memory.
    references: the same objects' references, from `encode_references`.
  """
  del references
  return arrays


def _decoded(model, params, coarse, region=None):
  """Returns probabilities [K, h, w] of a region, or of padded views."""
  logits = model.apply(
    {'params': params}, coarse, region, method=savos.SAVOS.decode_finely
  )
  # The softmax over two classes.
  return jax.nn.sigmoid(logits[..., 1] - logits[..., 0])


def _focused(
  decode, coarse: decoder.Coarse, guidance, focus: float, zoom: float
):
  """Decodes a box around each object, and 0 outside; see `focus.py`.

  Args:
    decode: coarse features and region -> probabilities.
    coarse: of K objects.
    guidance: as the network sees it, [K, H, W].
    focus: ratio of the box's sides to the object's.
    zoom: ratio of the view's side to the object's; 0: the whole frame.

  Returns:
    Float32 [K, H, W], padded.
  """
  cells = coarse.res3.shape[1:3]
  shape = tuple(focus_lib.STRIDE * side for side in cells)
  sizes = focus_lib.sizes(cells[0], cells[1], focus, zoom)

  def within(side):
    def branch(coarse, middle):
      begin = [
        focus_lib.first(*each).astype(jnp.int32)
        for each in zip(middle, side, cells, strict=True)
      ]
      rows, columns = (
        first + jnp.arange(count, dtype=jnp.int32)
        for first, count in zip(begin, side, strict=True)
      )
      (found,) = decode(coarse, decoder.Region(rows, columns))
      corner = [focus_lib.STRIDE * first for first in begin]
      blank = jnp.zeros(shape, found.dtype)
      placed = jax.lax.dynamic_update_slice(blank, found, corner)
      return placed, focus_lib.leaves(found, corner, shape)

    return branch

  def too_large(coarse, middle):
    return jnp.zeros(shape), jnp.array(True)

  branches = [*map(within, sizes), too_large]

  def one(inputs):
    coarse, (middle, side) = inputs
    coarse = jax.tree.map(lambda x: x[None], coarse)
    fits = [(side <= jnp.array(size, side.dtype)).all() for size in sizes]
    level = jnp.argmax(jnp.stack([*fits, jnp.array(True)]))
    found, leaves = jax.lax.switch(level, branches, coarse, middle)
    return jax.lax.cond(leaves, lambda: decode(coarse)[0], lambda: found)

  # One after another: each has a box of its own size.
  return jax.lax.map(one, (coarse, focus_lib.boxes(guidance, focus)))


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
  focus=0.0,
) -> tuple[jax.Array, tuple[matching.Trace | None, ...]]:
  """Returns each object's own probability, averaged over the views.

  Args:
    model: see `one_step`, and so all others.
    params: see there.
    frame: see there.
    guidance: see there.
    references: see there.
    size: see there.
    memory: see there.
    views: see there.
    static_size: see there.
    windows: see there.
    focus: see there.

  Returns:
    Float32 [K, H, W], and for each view the frame's trace for the memory.
  """
  frames = frame[None].astype(jnp.float32) / 255.0
  sight = sight_lib.Sight(guidance, size, static_size, windows)
  remembered = memory.views if memory else (None,) * len(views)
  found, traces = [], []
  for view, reference, seen in zip(views, references, remembered, strict=True):
    looked = sight.look(guidance, view)
    coarse, trace = model.apply(
      {'params': params},
      sight.look(frames, view),
      looked,
      reference,
      size if view.plain else None,
      seen,
      method=savos.SAVOS.decode_coarsely,
    )
    decode = functools.partial(_decoded, model, params)
    if focus:
      zoom = windows.zoom if windows else 0.0
      own = _focused(decode, coarse, looked, focus, zoom)
    else:
      own = decode(coarse)
    height, width = looked.shape[1:]
    found.append(sight.back(own[:, :height, :width], view))
    traces.append(trace)
  return functools.reduce(operator.add, found) / len(views), tuple(traces)


@functools.partial(jax.jit, static_argnames='frames', keep_unused=True)
def empty_memory(
  references: Sequence[savos.Reference], frames: int
) -> runtime.Memory:
  """Returns an empty memory.

  Args:
    references: K objects' references for every view, from a network with a look
      back. The memory is placed on their device (see `placed`).
    frames: M, the number of frames it holds; at least 1.
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
  """Writes a frame to a slot, for the objects selected by `keep` [K]."""

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
  """Adds the frame to the memory, as seen through its own windows.

  Args:
    model: the network.
    params: its parameters.
    traces: from `probabilities`.
    before: the guidance that placed the windows, [K, H, W].
    found: the probabilities in the frame itself, [K, H, W].
    size: int32 [2], height and width without padding.
    memory: the memory before this frame.
    keep: which objects remember the frame, bool [K].
    views: see `one_step`.
    static_size: see `one_step`.
    windows: see `one_step`.
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
    # Slot 0 always holds the latest frame; the other slot keeps it for longer.
    old = _put(old, new, keep, memory.slot)
    after.append(_put(old, new, keep, 0))
  return runtime.Memory(tuple(after), memory.slot)


encode_references = jitted.Jitted(encoded, static_argnames=_SEEING)
segment = jax.jit(probabilities, static_argnames=(*_SEEING, 'focus'))


def _with_union(guidance, references):
  """Appends the union if it has a reference (background 'merged')."""
  if references[0].share.shape[0] == guidance.shape[0]:
    return guidance
  return jnp.concatenate([guidance, aggregation.union(guidance)])


def _for_union(memory, references):
  """Pads the memory with empty entries for the union, if there is one."""
  if memory is None:
    return None
  lacking = references[0].share.shape[0] - memory.views[0].valid.shape[0]

  def padded(x):
    return jnp.pad(x, [(0, lacking)] + [(0, 0)] * (x.ndim - 1))

  return runtime.Memory(jax.tree.map(padded, memory.views), memory.slot)


def _finish(probabilities, mode, background, labels_size):
  """Aggregates the objects and labels the pixels, enlarged to `labels_size`.

  If the background is 'merged', the last of the probabilities is the union's.
  None as `labels_size` keeps the network's size.
  """
  merged = None
  if mode == 'softmax' and background == 'merged':
    probabilities, merged = probabilities[:-1], probabilities[-1]
  guidance = aggregation.aggregate(probabilities, mode, background, merged)
  return guidance, labelled(guidance, mode, labels_size)


def _enlarged(guidance, labels_size):
  """Enlarges [K, H, W] to `labels_size`; None leaves it unchanged."""
  if labels_size is None:
    return guidance
  shape = (guidance.shape[0], *labels_size)
  return jax.image.resize(guidance, shape, 'bilinear', antialias=False)


def labelled(guidance, mode, labels_size):
  """Labels [K, H, W], enlarged to `labels_size` unless that is None."""
  return aggregation.labels(_enlarged(guidance, labels_size), mode)


@functools.partial(jax.jit, static_argnames=('mode', 'labels_size'))
def classes(guidance, mode, labels_size):
  """Returns the probabilities that `label` compares, [K + 1, ...].

  The background comes first.
  """
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
  focus: float = 0.0,
) -> runtime.Outputs:
  """Segments a frame: `segment` and `finish` in one call.

  Args:
    model: the network.
    params: its parameters.
    frame: uint8 [H, W, 3], padded.
    guidance: probabilities in the previous frame, float32 [K, H, W], padded.
    references: from `encode_references`, K per view; K + 1 with a 'merged'
      background, the union last.
    size: int32 [2], height and width without padding.
    memory: the objects', without the union; None: the reference alone.
    views: how the network sees the frame.
    static_size: (height, width) if any view is not plain, else None.
    windows: how the windows are placed; None if the views show the whole frame.
    mode: aggregation mode, one of `options.MODES`.
    background: how the aggregation models the background, one of
      `options.BACKGROUNDS`.
    labels_size: height and width of the labels; None: the network's size.
    memory_confidence: lowest confidence at which an object remembers a frame.
    focus: ratio of the sides of the box that is decoded finely to the object's,
      see `focus.py`; 0: the whole view.

  Returns:
    The guidance for the next frame, the labels, confidences and memory.
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
    focus=focus,
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
  focus: float = 0.0,
  **finishing,
) -> runtime.Outputs:
  """Like `step`, `chunk` objects at a time; `chunk` is at most their number."""
  seeing = {'views': views, 'static_size': static_size, 'windows': windows}
  with_union = _with_union(guidance, references)
  seen = _for_union(memory, references)
  count = with_union.shape[0]
  parts, traces = [], []
  for first in range(0, count, chunk):
    # The last chunk overlaps the one before, so that all have the same size.
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
      focus=focus,
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
  """Slices objects begin .. end from every array [K, ...] of a tree."""
  return jax.tree.map(lambda x: x[begin:end], tree)


def _step_videos(
  model, params, videos: tuple[runtime.Inputs, ...], **static
) -> list[runtime.Outputs]:
  """Segments one frame of each of several videos in a single call.

  Args:
    model: the network.
    params: its parameters.
    videos: the inputs of `step` for each video; all have the same shapes.
    **static: as for `step`.

  Returns:
    The outputs of `step` for each video.
  """

  def one(*inputs):
    return one_step(model, params, *inputs, **static)

  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *videos)
  if static.get('focus'):  # Each object has a box of its own size.
    found = jax.lax.map(lambda inputs: one(*inputs), stacked)
  else:
    found = jax.vmap(one)(*stacked)
  return [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(videos))]


# From a frame to its labels.
_STATIC = (
  *_SEEING, 'mode', 'background', 'labels_size', 'memory_confidence', 'focus',
)  # fmt: skip
step = jitted.Jitted(one_step, static_argnames=_STATIC)
step_videos = jitted.Jitted(_step_videos, static_argnames=_STATIC)
