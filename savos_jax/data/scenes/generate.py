"""Examples of scenes: pure functions of (seed, index), compiled with JAX.

They are made on the training device, whose memory holds the images as a
`bank.Bank`. The host does no work, so an accelerator never waits for it.
"""

from collections.abc import Mapping
import functools
import operator

import jax
import jax.numpy as jnp

from savos_jax.data.scenes import base as base_lib
from savos_jax.data.scenes import config as config_lib
from savos_jax.data.scenes import guidance as guidance_lib
from savos_jax.data.scenes import rivals as rivals_lib
from savos_jax.data.scenes import sampling

# Labels of pasted objects; those in images are smaller.
_PASTED = 256
_GROUP = 5


def _bent(key, deviation, config, count):
  """Draws displacements [count, H, W, 2]: one field for the reference, and one
  for all other frames, which drifts from frame to frame.
  """
  keys = jax.random.split(key, 3)
  first, then, change = (sampling.bend(k, config.size) for k in keys)
  scale = deviation * config.size[0]
  later = [then + 0.2 * t * change for t in range(count - 1)]
  return scale * jnp.stack([first, *later])


def _paste(rgb, label, bank, rival, placement, number, bent, base_label):
  """Pastes a rival into a frame; returns the frame and its labels."""
  coordinates = sampling.coordinates(placement, bent)
  image = bank['images'][rival.image]
  taken = sampling.take(bank['pixels'], image, *coordinates, rival.object_id)
  share = jnp.where(rival.behind & (base_label > 0), 0.0, taken.share)
  own = jnp.clip(taken.rgb * rival.gain, 0.0, 255.0)
  rgb += share[..., None] * (own - rgb)
  return rgb, jnp.where(share > 0.5, _PASTED + number, label)


def _scene(key, bank, config):
  """Returns frames, float32 [T + 1, H, W, 3], labels and candidates."""
  base_key, rivals_key, bend_key, pasted_bend_key = jax.random.split(key, 4)
  base = base_lib.draw(base_key, bank, config)
  group = bank['images'][base.images[0], _GROUP]
  pasted = [
    rivals_lib.draw(k, bank, group, base.fraction, config)
    for k in jax.random.split(rivals_key, config.rivals)
  ]
  count = config.frames + 1
  # A video has motion of its own.
  base_bend = _bent(
    bend_key, jnp.where(base.is_video, 0.0, config.bend), config, count
  )
  bends = [
    # The warp scales with the size of the object.
    _bent(k, config.bend * base.fraction, config, count)
    for k in jax.random.split(pasted_bend_key, config.rivals)
  ]

  def render(number, placement, bent, pasted_placements, pasted_bends):
    """Returns a frame, float32 [H, W, 3], and its labels, int32 [H, W]."""
    image = bank['images'][number]
    coordinates = sampling.coordinates(placement, bent)
    taken = sampling.take(bank['pixels'], image, *coordinates, base.object_id)
    rgb, label = taken.rgb, taken.label
    for i, rival in enumerate(pasted):
      rgb, label = _paste(
        rgb,
        label,
        bank,
        rival,
        pasted_placements[i],
        i,
        pasted_bends[i],
        taken.label,
      )
    return rgb, label

  frames, labels = jax.vmap(render)(
    base.images,
    base.placements,
    base_bend,
    [rival.placements for rival in pasted],
    bends,
  )
  candidates = jnp.stack(
    [
      base.object_id,
      base.other_id,
      *(jnp.int32(_PASTED + i) for i in range(config.rivals)),
    ]
  )
  return frames, labels, candidates


def _chosen(key, reference_labels, candidates, config):
  """Draws the objects to segment from those visible in the reference.

  Returns:
    Labels, int32 [K], -1 for none. The first is usually the scene's main
    object.
  """
  single_key, score_key = jax.random.split(key)
  areas = jnp.stack([(reference_labels == c).mean() for c in candidates])
  visible = (areas >= config.min_area) & (candidates > 0)
  scores = jax.random.uniform(score_key, candidates.shape)
  scores = scores.at[0].add(0.5)
  scores = jnp.where(visible, scores, 0.0)
  order = jnp.argsort(-scores)[: config.objects]
  alone = jax.random.uniform(single_key) < config.single_probability
  there = visible[order] & ~(alone & (jnp.arange(config.objects) > 0))
  return jnp.where(there, candidates[order], -1)


def _lit(key, frames):
  """Changes the illumination: once for all frames, and slightly for each."""
  keys = iter(jax.random.split(key, 6))
  count = frames.shape[0]

  def both(deviation, shape):
    whole = jax.random.normal(next(keys), (1, 1, 1, *shape[3:]))
    each = jax.random.normal(next(keys), shape)
    return deviation * (whole + 0.3 * each)

  x = frames / 255.0
  gain = jnp.exp(both(0.12, (count, 1, 1, 3)))
  gamma = jnp.exp(both(0.15, (count, 1, 1, 1)))
  x = jnp.clip(gain * jnp.power(jnp.clip(x, 1e-4, 1.0), gamma), 0.0, 1.0)
  grey = x.mean(axis=-1, keepdims=True)
  saturation = jnp.exp(both(0.2, (count, 1, 1, 1)))
  return jnp.clip(grey + saturation * (x - grey), 0.0, 1.0) * 255.0


def example(
  key: jax.Array,
  bank: Mapping[str, jax.Array],
  config: config_lib.SceneConfig,
) -> dict[str, jax.Array]:
  """Makes an example.

  Args:
    key: of the random choices.
    bank: arrays of a `bank.Bank`.
    config: the ranges.

  Returns:
    As `data.sampling.Sampler.example`, for K objects: 'reference_frame' RGB
    uint8 [H, W, 3] and 'reference_mask' uint8 [H, W] of ids 0..K; 'frames' RGB
    uint8 [T, H, W, 3] and 'masks' uint8 [T, H, W] of ids; 'guidance', uint8
    [K, H, W], 0..255 = probability 0..1. Ids missing from the reference are
    not used: the example has fewer objects.
  """
  scene_key, choice_key, light_key, guidance_key = jax.random.split(key, 4)
  frames, labels, candidates = _scene(scene_key, bank, config)
  chosen = _chosen(choice_key, labels[0], candidates, config)

  def ids(label):
    numbers = [
      jnp.where(label == chosen[k], k + 1, 0) for k in range(config.objects)
    ]
    return functools.reduce(operator.add, numbers).astype(jnp.uint8)

  first = labels[1:2]
  masks = (first == chosen[:, None, None]).astype(jnp.float32)
  objects = jnp.where(candidates > 0, candidates, -1)
  others = (first == objects[:, None, None]).any(axis=0)
  guidance = guidance_lib.perturb(
    guidance_key, masks, others.astype(jnp.float32), config
  )
  frames = jnp.round(_lit(light_key, frames)).astype(jnp.uint8)
  return {
    'reference_frame': frames[0],
    'reference_mask': ids(labels[0]),
    'frames': frames[1:],
    'masks': ids(labels[1:]),
    'guidance': jnp.round(255.0 * guidance).astype(jnp.uint8),
  }


def batch(
  seed: jax.Array,
  first: jax.Array,
  bank: Mapping[str, jax.Array],
  config: config_lib.SceneConfig,
  count: int,
) -> dict[str, jax.Array]:
  """Makes examples first .. first + count - 1 of a seed.

  Args:
    seed: int32 scalar.
    first: index of the first example, int32 scalar.
    bank: arrays of a `bank.Bank`.
    config: the ranges.
    count: how many.

  Returns:
    What `example` returns, with a leading axis of `count`.
  """
  # The only generator that draws the same numbers in a batch as alone.
  root = jax.random.key(seed, impl='threefry2x32')
  keys = jax.vmap(lambda i: jax.random.fold_in(root, i))(
    first + jnp.arange(count, dtype=jnp.int32)
  )
  return jax.vmap(lambda key: example(key, bank, config))(keys)
