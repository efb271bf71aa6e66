"""What the tracker compiles: one frame, K objects, all views of it.

A frame comes padded to multiples of 32, with its true size as an array: sizes
that pad to the same one share what is compiled. Views that resize or mirror
need the true size when they are compiled, as `static_size`; windows do not.
"""

from collections.abc import Sequence
import functools

import jax
import jax.numpy as jnp

from savos_jax.inference import aggregation
from savos_jax.inference import scales
from savos_jax.inference import zoom as zoom_lib
from savos_jax.models import savos

# Of a video, as `step` takes them: frame, guidance, references, size.
Inputs = tuple[jax.Array, jax.Array, Sequence[jax.Array], jax.Array]
# As `step` returns them: guidance, labels.
Outputs = tuple[jax.Array, jax.Array]

_SEEING = ('model', 'views', 'static_size', 'zoom')


class _Sight:
  """How the network sees frames and masks, and where what it found belongs."""

  def __init__(self, masks, size, static_size, zoom: float):
    """Takes where the objects are: masks [K, H, W], padded."""
    self._shape, self._size = masks.shape[1:], static_size
    self._boxes = zoom_lib.windows(masks, size, zoom) if zoom else None

  def look(self, x, view: scales.View):
    """Returns what a view shows of padded frames or masks [N, H, W, ...]."""
    if view.plain:
      return x
    if self._boxes is None:
      height, width = self._size
      return scales.look(x[:, :height, :width], view)
    x = zoom_lib.look(x, self._boxes, view.height, view.width)
    return scales.look(x, view)

  def back(self, probabilities, view: scales.View):
    """Undoes `look` for [N, h, w]: padded [N, H, W]."""
    if view.plain:
      return probabilities
    if self._boxes is None:
      x = scales.back(probabilities, view, *self._size)
      height, width = self._shape
      bottom, right = height - self._size[0], width - self._size[1]
      return jnp.pad(x, ((0, 0), (0, bottom), (0, right)))
    x = scales.back(probabilities, view, view.height, view.width)
    return zoom_lib.back(x, self._boxes, *self._shape)


@functools.partial(jax.jit, static_argnames=_SEEING)
def encode_references(
  model, params, frame, masks, size, *, views, static_size, zoom
):
  """Encodes a frame as the reference of K objects.

  Args:
    model: the network.
    params: its parameters.
    frame: uint8 [H, W, 3], padded.
    masks: float32 [K, H, W], padded.
    size: int32 [2], the true height and width.
    views: how the network sees the frame.
    static_size: (height, width) where a view is not plain, else None.
    zoom: see `options.InferenceConfig`.

  Returns:
    For every view the references [K, h, w, C]; and the masks as the first
    guidance: coming out of a compiled function like every later one, they are
    placed like it, and `step` compiles once.
  """
  frames = frame[None].astype(jnp.float32) / 255.0
  sight = _Sight(masks, size, static_size, zoom)
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


@jax.jit
def placed(guidance: jax.Array) -> jax.Array:
  """Returns guidance as it would come out of `step`, see there."""
  return guidance


def _probabilities(
  model, params, frame, guidance, references, size, views, static_size, zoom
) -> jax.Array:
  """Returns each object's own probability [K, H, W], averaged over views."""
  frames = frame[None].astype(jnp.float32) / 255.0
  sight = _Sight(guidance, size, static_size, zoom)
  total = 0.0
  for view, reference in zip(views, references, strict=True):
    logits = model.apply(
      {'params': params},
      sight.look(frames, view),
      sight.look(guidance, view),
      reference,
      size if view.plain else None,
      method=savos.SAVOS.segment,
    )
    # The softmax of two.
    found = jax.nn.sigmoid(logits[..., 1] - logits[..., 0])
    total += sight.back(found, view)
  return total / len(views)


segment = jax.jit(_probabilities, static_argnames=_SEEING)


def union(guidance: jax.Array) -> jax.Array:
  """Returns the mask of all objects together, [1, H, W] of [K, H, W]."""
  return jnp.clip(guidance.sum(axis=0, keepdims=True), 0.0, 1.0)


def _with_union(guidance, references):
  """Adds the union where it has a reference: the background is 'merged'."""
  if references[0].share.shape[0] == guidance.shape[0]:
    return guidance
  return jnp.concatenate([guidance, union(guidance)])


def _finish(probabilities, mode, background, labels_size):
  """Aggregates, and labels at the network's size or, enlarged, at another.

  The last of the probabilities is the union's where the background is
  'merged'.
  """
  merged = None
  if mode == 'softmax' and background == 'merged':
    probabilities, merged = probabilities[:-1], probabilities[-1]
  guidance = aggregation.aggregate(probabilities, mode, background, merged)
  full = guidance
  if labels_size is not None:
    shape = (guidance.shape[0], *labels_size)
    full = jax.image.resize(full, shape, 'bilinear', antialias=False)
  return guidance, aggregation.labels(full, mode)


finish = jax.jit(_finish, static_argnames=('mode', 'background', 'labels_size'))


# A frame from network to labels.
_jit_step = functools.partial(
  jax.jit,
  static_argnames=(
    *_SEEING, 'mode', 'background', 'labels_size',
  ),
)  # fmt: skip


@_jit_step
def step(
  model,
  params,
  frame: jax.Array,
  guidance: jax.Array,
  references: Sequence[jax.Array],
  size: jax.Array,
  *,
  views: tuple[scales.View, ...],
  static_size: tuple[int, int] | None,
  zoom: float,
  mode: str,
  background: str,
  labels_size: tuple[int, int] | None,
) -> Outputs:
  """Segments a frame: `segment` and `finish` in one call.

  Args:
    model: the network.
    params: its parameters.
    frame: uint8 [H, W, 3], padded.
    guidance: probabilities in the frame before, float32 [K, H, W], padded.
    references: from `encode_references`, [K, h, w, C] a view; with a 'merged'
      background K + 1, the union's behind the objects'.
    size: int32 [2], the true height and width.
    views: how the network sees the frame.
    static_size: (height, width) where a view is not plain, else None.
    zoom: see `options.InferenceConfig`.
    mode: of the aggregation.
    background: of the aggregation.
    labels_size: height and width of the labels, where it is not the frame's.

  Returns:
    The next guidance, float32 [K, H, W], and labels, uint8, [H, W] or of
    `labels_size`.
  """
  guidance = _with_union(guidance, references)
  probabilities = _probabilities(
    model, params, frame, guidance, references, size, views, static_size, zoom
  )
  return _finish(probabilities, mode, background, labels_size)


def step_in_chunks(
  model,
  params,
  frame: jax.Array,
  guidance: jax.Array,
  references: Sequence[jax.Array],
  size: jax.Array,
  *,
  chunk: int,
  views: tuple[scales.View, ...],
  static_size: tuple[int, int] | None,
  zoom: float,
  **finishing,
) -> Outputs:
  """`step` for `chunk` objects at a time, at most as many as there are."""
  guidance = _with_union(guidance, references)
  count = guidance.shape[0]
  parts = []
  for first in range(0, count, chunk):
    # The last chunk goes back a little, so that all are of one size.
    begin = min(first, count - chunk)
    part = segment(
      model,
      params,
      frame,
      guidance[begin : begin + chunk],
      jax.tree.map(lambda r: r[begin : begin + chunk], references),  # noqa: B023
      size,
      views=views,
      static_size=static_size,
      zoom=zoom,
    )
    parts.append(part[first - begin :])
  return finish(jnp.concatenate(parts), **finishing)


@_jit_step
def step_videos(
  model, params, videos: tuple[Inputs, ...], **static
) -> list[Outputs]:
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
    return step(model, params, *inputs, **static)

  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *videos)
  guidance, labels = jax.vmap(one)(*stacked)
  return list(zip(guidance, labels, strict=True))
