"""Online learning (6.4.1): fine-tunes a network on the objects of a video.

Reference and target are both lucid dreams of a frame whose mask is known. A
random object is the foreground; the others are background.
"""

from collections.abc import Generator
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tqdm

from savos_jax import online
from savos_jax.data import choices
from savos_jax.data import lucid
from savos_jax.data import perturb
from savos_jax.foundation import errors
from savos_jax.inference import geometry as geometry_lib
from savos_jax.inference import lessons as lessons_lib
from savos_jax.inference import sight as sight_lib
from savos_jax.models import savos
from savos_jax.training import losses

# A dream without the object teaches nothing; if it is missing from the first
# frame, the next ones rarely show it.
_ATTEMPTS = 5
# Sets of moving objects in the dreams of a frame; each is inpainted once.
_SUBSETS = 4
_CLIP_NORM = 1.0  # As in training; so is the next.
_SOFT_IOU_WEIGHT = 0.5
_TARGETS = 'frames', 'masks'
_PARTS = {
  'decoder': ('decoder',),
  'decoder_and_global_convolution': (
    'decoder',
    'global_convolution',
    'matching',
  ),
}


@functools.cache
def _optimizer(
  kind: str, rate: float, parameters: str
) -> optax.GradientTransformation:
  """Returns the optimiser, cached so that it compiles only once."""
  core = optax.adam(rate) if kind == 'adam' else optax.sgd(rate, momentum=0.9)
  learns = optax.chain(optax.clip_by_global_norm(_CLIP_NORM), core)
  return optax.partition(
    {True: learns, False: optax.set_to_zero()},
    functools.partial(_learns, parameters),
  )


def _learns(parameters: str, params: Any) -> Any:
  """Returns for each array whether it is trained."""

  def learns(path, _):
    return parameters == 'all' or path[0].key in _PARTS[parameters]

  return jax.tree_util.tree_map_with_path(learns, params)


@functools.partial(jax.jit, static_argnames='model')
def _encode(params, batch, *, model) -> savos.Reference:
  """Encodes the references of a batch."""
  frames = batch['reference_frame'].astype(jnp.float32) / 255.0
  masks = batch['reference_mask'].astype(jnp.float32)
  return model.apply(
    {'params': params}, frames, masks, method=savos.SAVOS.encode_reference
  )


def _loss(params, reference, batch, model) -> jax.Array:
  """Returns the mean loss over the frames; each prediction guides the next."""
  guidance = batch['guidance'].astype(jnp.float32) / 255.0
  frames, masks = (batch[name].astype(jnp.float32) for name in _TARGETS)
  there = jnp.ones((len(guidance), 1), bool)
  total, length = jnp.float32(0.0), frames.shape[1]
  for t in range(length):
    logits = model.apply(
      {'params': params},
      frames[:, t] / 255.0,
      guidance,
      reference,
      method=savos.SAVOS.segment,
    )
    margins = losses.margins_of(logits)[:, None]
    loss, found = losses.clip_frame(
      margins, masks[:, t, None], there, 'mean', _SOFT_IOU_WEIGHT, joint=False
    )
    total += loss / length
    guidance = jax.lax.stop_gradient(found[:, 0])
  return total


@functools.partial(jax.jit, static_argnames=('model', 'optimizer'))
def _step(params, state, reference, batch, *, model, optimizer):
  """Takes a step; returns the parameters, the optimiser's state and the loss.

  Gradients of frozen parameters are not computed.

  Args:
    params: the network's.
    state: the optimiser's.
    reference: encoded, if its encoder is frozen; None: it is encoded here.
    batch: from `_Dreamer`.
    model: the network.
    optimizer: from `_optimizer`.
  """

  def total(params):
    seen = reference
    if seen is None:
      seen = _encode(params, batch, model=model)
    return _loss(params, seen, batch, model)

  loss, gradients = jax.value_and_grad(total)(params)
  updates, state = optimizer.update(gradients, state, params)
  return optax.apply_updates(params, updates), state, loss


@functools.partial(jax.jit, static_argnames=('view', 'windows'))
def _window(frame, mask, where, size, *, view, windows):
  """Crops a frame and a mask to the window around an object.

  Args:
    frame: uint8 [h, w, 3].
    mask: uint8 [h, w], 0 or 1.
    where: mask of the object that places the window, uint8 [h, w], 0 or 1.
    size: int32 [2], h and w.
    view: the network's input geometry.
    windows: how windows are placed.

  Returns:
    Both as the network sees them, uint8.
  """
  sight = sight_lib.Sight(where[None].astype(jnp.float32), size, None, windows)
  frame = sight.look(frame[None].astype(jnp.float32), view)[0]
  mask = sight.look(mask[None].astype(jnp.float32), view)[0]
  return jnp.rint(frame).astype(jnp.uint8), (mask > 0.5).astype(jnp.uint8)


class Learner:
  """Fine-tunes one network; see `lessons.Learner`."""

  def __init__(
    self, model: savos.SAVOS, config: online.OnlineConfig, seed: int = 0
  ):
    """Compiles nothing yet.

    Args:
      model: the network.
      config: how it learns.
      seed: of the dreams; the same seed gives the same result.
    """
    self._model, self._config, self._seed = model, config, seed
    self._optimizer = _optimizer(
      config.optimizer, config.learning_rate, config.parameters
    )

  @property
  def every(self) -> int:
    """See `lessons.Learner`."""
    return self._config.every

  @property
  def confidence(self) -> float:
    """See `lessons.Learner`."""
    return self._config.confidence

  def learn(
    self,
    params: Any,
    lessons: Sequence[lessons_lib.Lesson],
    geometry: geometry_lib.Geometry,
    turn: int,
    *,
    again: bool = False,
  ) -> Any:
    """See `lessons.Learner`.

    Raises:
      SavosError: the loss of a step is not finite: the learning rate is too
        high.
    """
    steps = self._config.every_steps if again else self._config.steps
    began = time.monotonic()
    state = jax.jit(self._optimizer.init)(params)
    references = _References(self._model, self._config)
    batches = self._batches(lessons, geometry, turn, steps)
    with tqdm.tqdm(
      total=steps, unit='step', desc='learning', leave=False, disable=None
    ) as bar:
      for batch in batches:
        params, state, loss = _step(
          params,
          state,
          references.of(params, batch),
          batch,
          model=self._model,
          optimizer=self._optimizer,
        )
        if not np.isfinite(loss):
          raise errors.SavosError(
            f'online learning: the loss is {loss} with a learning rate of '
            f'{self._config.learning_rate:g}.\n  Expected a finite number: '
            'lower config.online.learning_rate.'
          )
        bar.update()
        if 0 < self._config.seconds <= time.monotonic() - began:
          batches.close()
    return params

  def learnt(self, params: Any) -> list[Any]:
    """See `lessons.Learner`."""
    learns = jax.tree.leaves(_learns(self._config.parameters, params))
    arrays = jax.tree.leaves(params)
    return [x for x, does in zip(arrays, learns, strict=True) if does]

  def relearn(self, params: Any, learnt: Sequence[Any]) -> Any:
    """See `lessons.Learner`."""
    expected = [x.shape for x in self.learnt(params)]
    if [x.shape for x in learnt] != expected:
      raise errors.SavosError(
        f'{len(learnt)} arrays of learnt parameters.\n  Expected '
        f'{len(expected)}, with the shapes of the network.'
      )
    rest = iter(learnt)
    learns = _learns(self._config.parameters, params)
    return jax.tree.map(
      lambda x, does: jnp.asarray(next(rest)) if does else x, params, learns
    )

  def _batches(self, lessons, geometry, turn, steps) -> Generator[Any]:
    """Yields batches; the next is made while the current one is in use."""
    dreamer = _Dreamer(lessons, geometry, self._config, (self._seed, turn))
    with futures.ThreadPoolExecutor(1) as executor:
      coming = executor.submit(dreamer.batch, 0)
      for step in range(steps):
        batch = coming.result()
        if step < steps - 1:
          coming = executor.submit(dreamer.batch, step + 1)
        yield batch


class _References:
  """Encodes references once, if they are the same in all steps."""

  def __init__(self, model: savos.SAVOS, config: online.OnlineConfig):
    self._model = model
    self._stay = config.reference == 'frame' and config.parameters == 'decoder'
    self._known: dict[tuple[int, ...], savos.Reference] = {}

  def of(self, params: Any, batch: dict[str, Any]) -> savos.Reference | None:
    """Pops the references from a batch; None if they stay in it."""
    sources = [tuple(each) for each in batch.pop('source').tolist()]
    if not self._stay:
      return None
    for k, source in enumerate(sources):
      if source not in self._known:
        one = {name: array[k : k + 1] for name, array in batch.items()}
        self._known[source] = _encode(params, one, model=self._model)
    del batch['reference_frame'], batch['reference_mask']
    found = [self._known[source] for source in sources]
    return jax.tree.map(lambda *x: jnp.concatenate(x), *found)


class _Dreamer:
  """Makes dreams of frames, as a pure function of the seeds and the step."""

  def __init__(
    self,
    lessons: Sequence[lessons_lib.Lesson],
    geometry: geometry_lib.Geometry,
    config: online.OnlineConfig,
    seeds: tuple[int, ...],
  ):
    self._lessons = [x for x in lessons if x.labels.any()]
    self._geometry, self._config = geometry, config
    self._seeds = seeds
    # For each frame, the sets of objects that may move, and the backgrounds.
    self._moving = [
      choices.moving_subsets(lesson.labels, seeds[0], str(k), _SUBSETS)
      for k, lesson in enumerate(self._lessons)
    ]
    self._behind: dict[tuple[int, tuple[int, ...]], np.ndarray] = {}

  def batch(self, step: int) -> dict[str, np.ndarray]:
    """Makes the examples of a step.

    Args:
      step: from 0.

    Returns:
      'source' int [B, 2], index of the frame and object; 'reference_frame'
      uint8 [B, H, W, 3] and 'reference_mask' uint8 [B, H, W], 0 or 1; 'frames'
      uint8 [B, T, H, W, 3], 'masks' uint8 [B, T, H, W]; 'guidance' uint8
      [B, H, W], 0..255 = probability 0..1.
    """
    found = [
      self._example(np.random.default_rng((*self._seeds, step, k)))
      for k in range(self._config.batch_size)
    ]
    return {name: np.stack([one[name] for one in found]) for name in found[0]}

  def _example(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
    which = int(rng.integers(len(self._lessons)))
    ids = np.unique(self._lessons[which].labels)
    object_id = rng.choice(ids[ids > 0])
    for _ in range(_ATTEMPTS):
      dream = self._dream(which, rng)
      if (dream.reference_labels == object_id).any():
        break
    one = functools.partial(_mask, object_id=object_id)
    shown = dream.reference_frame, dream.reference_labels
    if self._config.reference == 'frame':
      shown = self._lessons[which]
    mask, before = one(shown[1]), one(dream.previous_labels)
    reference = self._seen(shown[0], mask, mask)
    targets = [
      self._seen(frame, one(labels), before)
      for frame, labels in zip(dream.frames, dream.labels, strict=True)
    ]
    _, guidance = self._seen(dream.frames[0], before, before)
    frames, masks = map(np.stack, zip(*targets, strict=True))
    return {
      'source': np.array([which, object_id]),
      'reference_frame': reference[0],
      'reference_mask': reference[1],
      'frames': frames,
      'masks': masks,
      'guidance': perturb.perturb_mask(guidance, self._config.noise, rng),
    }

  def _dream(self, which: int, rng: np.random.Generator) -> lucid.Dream:
    frame, labels = self._lessons[which]
    sets = self._moving[which]
    moving = sets[rng.integers(len(sets))]
    key = which, moving
    if key not in self._behind:
      self._behind[key] = lucid.inpaint(
        frame, labels, moving, self._config.lucid
      )
    return lucid.dream(
      frame,
      labels,
      rng,
      self._config.lucid,
      moving=moving,
      background=self._behind[key],
      targets=self._config.clip_frames,
    )

  def _seen(self, frame, mask, where) -> tuple[np.ndarray, np.ndarray]:
    """Returns a frame and a mask as the network sees them; see `_window`."""
    windows = self._geometry.windows
    if windows is None:
      return frame, mask
    # Any soft mask still locates the object.
    windows = dataclasses.replace(windows, lost_confidence=0.0)
    size = np.array(mask.shape, np.int32)
    view = self._geometry.views[0]
    found = _window(frame, mask, where, size, view=view, windows=windows)
    return np.asarray(found[0]), np.asarray(found[1])


def _mask(labels: np.ndarray, object_id: int) -> np.ndarray:
  return (labels == object_id).astype(np.uint8)
