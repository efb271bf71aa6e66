"""Bilinear upsampling by an integer factor.

The result equals that of `jax.image.resize`, which multiplies by a matrix per
axis. Here each pixel takes two multiplications and one addition per axis, which
is up to ten times as fast on CPUs.
"""

import functools

import jax
import jax.numpy as jnp

from savos_jax.models import forms


def _enlarge_axis(x: jax.Array, factor: int, axis: int) -> jax.Array:
  length = x.shape[axis]
  # Replicate the border.
  first = jax.lax.slice_in_dim(x, 0, 1, axis=axis)
  last = jax.lax.slice_in_dim(x, length - 1, length, axis=axis)
  padded = jnp.concatenate([first, x, last], axis=axis)

  def moved(by: int) -> jax.Array:
    return jax.lax.slice_in_dim(padded, 1 + by, 1 + by + length, axis=axis)

  phases = []
  for phase in range(factor):
    # Offset of the output pixel's centre from that of its input pixel.
    position = (phase + 0.5) / factor - 0.5
    share = abs(position)
    phases.append((1.0 - share) * x + share * moved(1 if position > 0 else -1))
  shape = (*x.shape[:axis], length * factor, *x.shape[axis + 1 :])
  return jnp.stack(phases, axis=axis + 1).reshape(shape)


@functools.partial(jax.jit, static_argnames='factor')
def resize_bilinear(x: jax.Array, factor: int) -> jax.Array:
  """The portable form of `bilinear`.

  Jitted so that it stays a separate function in the traced program, where
  `exporting.onnx_graph` recognises it by name: most formats have a single
  operator for it.
  """
  batch, height, width, channels = x.shape
  shape = (batch, factor * height, factor * width, channels)
  return jax.image.resize(x, shape, 'bilinear', antialias=False)


def bilinear(x: jax.Array, factor: int) -> jax.Array:
  """Upsamples bilinearly with half-pixel centres ("align_corners=False").

  Args:
    x: [B, H, W, C].
    factor: at least 1.

  Returns:
    [B, factor * H, factor * W, C], same dtype.
  """
  if forms.are_portable():
    return resize_bilinear(x, factor)
  return _enlarge_axis(_enlarge_axis(x, factor, 2), factor, 1)
