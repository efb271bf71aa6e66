"""Objects from other photos, pasted into a scene with motion of their own."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from savos_jax.data.scenes import config as config_lib
from savos_jax.data.scenes import sampling

# A position out of sight, in multiples of an example's height.
_FAR_AWAY = 10.0


class Rival(NamedTuple):
  """A pasted object.

  Attributes:
    image: row of its image in the bank.
    object_id: its label there.
    placements: arrays of [T + 1]; out of sight in frames without it.
    behind: whether it is behind the objects of the base.
    gain: brightness factor.
  """

  image: jax.Array
  object_id: jax.Array
  placements: sampling.Placement
  behind: jax.Array
  gain: jax.Array


def _draw_row(key, bank, group, config):
  """Returns the row of an object to paste."""
  which, same_key, any_key = jax.random.split(key, 3)
  pasted = bank['paste_objects']
  first, count = bank['group_paste'][group]
  number = first + jax.random.randint(same_key, (), 0, jnp.maximum(count, 1))
  same = jax.random.uniform(which) < config.same_folder_probability
  anything = jax.random.randint(any_key, (), 0, pasted.size)
  return pasted[jnp.where(same & (count > 0), number, anything)]


def draw(
  key: jax.Array,
  bank: Mapping[str, jax.Array],
  group: jax.Array,
  fraction: jax.Array,
  config: config_lib.SceneConfig,
) -> Rival:
  """Draws an object and its path through the frames.

  Args:
    key: of the random choices.
    bank: arrays of a `bank.Bank`.
    group: group of photos similar to the base.
    fraction: longer side of the scene's main object.
    config: the ranges.

  Returns:
    The rival; out of sight in all frames if the scene has none.
  """
  keys = iter(jax.random.split(key, 20))

  def uniform(low=0.0, high=1.0, shape=()):
    return jax.random.uniform(next(keys), shape, minval=low, maxval=high)

  def normal(shape=()):
    return jax.random.normal(next(keys), shape)

  steps = jnp.arange(config.frames, dtype=jnp.float32)

  def course(first, jump, drift):
    """Jumps once after the reference, then drifts evenly."""
    first = jnp.asarray(first, jnp.float32)
    return jnp.concatenate([first[None], first + jump + drift * steps])

  row = bank['objects'][_draw_row(next(keys), bank, group, config)]
  box = row[2:6].astype(jnp.float32)
  height, width = config.size
  extent = jnp.maximum((box[2] - box[0]) / height, (box[3] - box[1]) / width)
  low, high = jnp.log(jnp.array(config.rival_size))
  size = jnp.clip(fraction * jnp.exp(uniform(low, high)), 0.08, 0.9)
  sizes = size * jnp.exp(course(0.0, 0.25 * normal(), 0.04 * normal()))
  step = extent / sizes
  aspect = jnp.exp(course(0.1 * normal(), 0.06 * normal(), 0.0))

  # It may enter from anywhere, or stay roughly in place.
  place = uniform(-0.05, 1.05, (2,))
  anywhere = uniform(-0.05, 1.05, (2,)) - place
  jump = jnp.where(uniform() < 0.5, 0.12 * normal((2,)), anywhere)
  speed = 0.05 * normal((2,))
  absent, gone = uniform(), uniform()
  hidden = jnp.concatenate(
    [
      (absent < config.absent_probability)[None],
      jnp.broadcast_to(gone < config.gone_probability, (config.frames,)),
    ]
  ) | (uniform() >= config.rival_probability)
  ys = course(place[0], jump[0], speed[0])
  ys = jnp.where(hidden, _FAR_AWAY, ys)
  xs = course(place[1], jump[1], speed[1])
  angle = jnp.deg2rad(course(20.0 * normal(), 15.0 * normal(), 3.0 * normal()))
  mirror = jnp.where(uniform() < config.flip_probability, -1.0, 1.0)
  return Rival(
    row[0],
    row[1],
    sampling.Placement(
      jnp.broadcast_to((box[0] + box[2]) / 2.0, ys.shape),
      jnp.broadcast_to((box[1] + box[3]) / 2.0, ys.shape),
      ys * height,
      xs * width,
      step * aspect,
      mirror * step / aspect,
      angle,
    ),
    uniform() < config.behind_probability,
    jnp.exp(0.15 * normal()),
  )
