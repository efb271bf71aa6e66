"""Convolutions and pooling in the forms that XLA computes fastest.

The results equal those of `jax.lax.conv_general_dilated` and `nn.max_pool`, up
to rounding. On CPUs, XLA's own convolutions are slow with few input or output
channels or a 1x1 kernel, above all in the backward pass. On accelerators,
larger kernels at stride 1 use the plain convolution; which form is faster there
has not been measured.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from savos_jax.foundation import processor
from savos_jax.models import forms
from savos_jax.models import winograd

_LAYOUT = ('NHWC', 'HWIO', 'NHWC')


def _plain(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
  """Convolves with half a kernel of zero padding, as PyTorch does."""
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    [(side // 2, side // 2) for side in kernel.shape[:2]],
    dimension_numbers=_LAYOUT,
  )


def _check(
  x: jax.Array,
  kernel: jax.Array,
  strides: Sequence[int],
  padding: str | Sequence[Sequence[int]],
  others: Mapping[str, Any],
) -> None:
  """Raises ValueError for arguments of `nn.Conv` not supported here."""
  sides = kernel.shape[:2]
  # Only the ranks of the shapes matter; dimensions may be symbolic.
  layout = jax.lax.conv_dimension_numbers((1,) * x.ndim, kernel.shape, _LAYOUT)
  done: dict[str, list[Any]] = {
    'strides': [(1, 1)],
    'padding': ['SAME', tuple((side // 2, side // 2) for side in sides)],
    'lhs_dilation': [None, (1, 1)],
    'rhs_dilation': [None, (1, 1)],
    'dimension_numbers': [_LAYOUT, layout],
    'feature_group_count': [1],
  }
  if not isinstance(padding, str):
    padding = tuple(map(tuple, padding))
  given = {'strides': tuple(strides), 'padding': padding, **others}
  if sides == (1, 1):
    del given['strides']
  for name, value in given.items():
    expected = done.get(name, [None])
    if value not in expected:
      raise ValueError(
        f'{name} is {value!r}.\n  Expected {expected[-1]!r} for a kernel of '
        f'{sides[0]}x{sides[1]}: nothing else is done here.'
      )


def _products(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves as the sum of shifted products, one per kernel position."""
  height, width = kernel.shape[:2]
  products = jnp.einsum('bhwc,ijcf->bhwijf', x, kernel)
  ends = [(side // 2, side // 2) for side in (height, width)]
  products = jnp.pad(products, [(0, 0), *ends] + [(0, 0)] * 3)
  rows, columns = x.shape[1:3]
  moved = (
    products[:, i : i + rows, j : j + columns, i, j]
    for i in range(height)
    for j in range(width)
  )
  return functools.reduce(operator.add, moved)


def by_products(
  x: jax.Array,
  kernel: jax.Array,
  strides: Sequence[int] = (1, 1),
  padding: str | Sequence[Sequence[int]] = 'SAME',
  **others: Any,
) -> jax.Array:
  """Convolves with one matrix product; on accelerators, 1x1 kernels only.

  Suited to 1x1 kernels, 1xN and Nx1 kernels, and many input but few output
  channels. Can be passed to `nn.Conv` as `conv_general_dilated`.

  Args:
    x: [B, H, W, C].
    kernel: [h, w, C, features], h and w odd; the input is zero-padded.
    strides: 1; any for a 1x1 kernel.
    padding: zero padding of half a kernel, by name or as numbers.
    **others: further arguments from `nn.Conv`; only its defaults are supported.

  Returns:
    [B, H / stride, W / stride, features].

  Raises:
    ValueError: an argument has an unsupported value.
  """
  _check(x, kernel, strides, padding, others)
  height, width = kernel.shape[:2]
  if forms.are_portable():
    return _plain(x, kernel, strides[0])
  if height == width == 1:
    x = x[:, :: strides[0], :: strides[1]]
    product = x.reshape(-1, x.shape[-1]) @ kernel[0, 0]
    return product.reshape(*x.shape[:3], kernel.shape[-1])
  return jax.lax.platform_dependent(x, kernel, cpu=_products, default=_plain)


# Pixels of a batch, and channels, from which Winograd's algorithm is faster on
# CPUs and worth its compile time. Without AVX-512 (False), arithmetic costs
# twice as much, but the algorithm's overhead does not.
_LEAST = {False: (400, 32), True: (1500, 64)}
# Input channels from which a 3x3 kernel's gradient is faster as one matrix
# product than as a convolution.
_MANY_CHANNELS_IN = 256


def _pays(x: jax.Array, features: int) -> bool:
  """Returns whether Winograd is faster for x [B, H, W, C] on this CPU."""
  batch, height, width, channels = x.shape
  pixels, least = _LEAST[processor.has_avx512()]
  return (
    batch * height * width >= pixels
    and min(channels, features) >= least
    and x.dtype == jnp.float32
  )


@jax.custom_vjp
def _convolve_3x3(x: jax.Array, kernel: jax.Array) -> jax.Array:
  if not _pays(x, kernel.shape[-1]):
    return _plain(x, kernel)
  return jax.lax.platform_dependent(
    x, kernel, cpu=winograd.convolve, default=_plain
  )


def _keep_3x3(x, kernel):
  return _convolve_3x3(x, kernel), (x, kernel)


def _differentiate_3x3(kept, gradient):
  """Returns both gradients; that of x convolves with the flipped kernel."""
  x, kernel = kept
  turned = kernel[::-1, ::-1].swapaxes(2, 3)
  return _convolve_3x3(gradient, turned), _kernel_gradient(x, gradient)


_convolve_3x3.defvjp(_keep_3x3, _differentiate_3x3)


def _kernel_gradient(x: jax.Array, gradient: jax.Array) -> jax.Array:
  """Returns the gradient with respect to a 3x3 kernel.

  Args:
    x: the convolution's input, [B, H, W, C].
    gradient: with respect to the output, [B, H, W, features].

  Returns:
    [3, 3, C, features].
  """
  channels, features = x.shape[-1], gradient.shape[-1]

  def plain(x, gradient):
    shape = jax.ShapeDtypeStruct((3, 3, channels, features), x.dtype)
    (found,) = jax.linear_transpose(lambda k: _plain(x, k), shape)(gradient)
    return found

  if _pays(x, features):
    on_cpu = winograd.kernel_gradient
  elif channels >= _MANY_CHANNELS_IN:
    on_cpu = _kernel_gradient_by_product
  else:
    return plain(x, gradient)
  return jax.lax.platform_dependent(x, gradient, cpu=on_cpu, default=plain)


def _kernel_gradient_by_product(x, gradient):
  """Multiplies x with the gradient, shifted for each of nine positions."""
  _, height, width, features = gradient.shape
  padded = jnp.pad(gradient, ((0, 0), (1, 1), (1, 1), (0, 0)))
  moved = [
    padded[:, 2 - i : 2 - i + height, 2 - j : 2 - j + width]
    for i in range(3)
    for j in range(3)
  ]
  side_by_side = jnp.concatenate(moved, -1).reshape(-1, 9 * features)
  product = x.reshape(-1, x.shape[-1]).T @ side_by_side
  return product.reshape(-1, 3, 3, features).transpose(1, 2, 0, 3)


def convolve_3x3(
  x: jax.Array,
  kernel: jax.Array,
  strides: Sequence[int] = (1, 1),
  padding: str | Sequence[Sequence[int]] = 'SAME',
  **others: Any,
) -> jax.Array:
  """Convolves at stride 1 with zero padding.

  On CPUs, float32 maps with many channels are convolved by Winograd's minimal
  filtering: up to twice as fast, with rounding errors of about 1e-5 of the
  largest result. The same applies to the gradients. Can be passed to `nn.Conv`
  as `conv_general_dilated`.

  Args:
    x: [B, H, W, C].
    kernel: [3, 3, C, features].
    strides: 1.
    padding: zero padding of half a kernel, by name or as numbers.
    **others: further arguments from `nn.Conv`; only its defaults are supported.

  Returns:
    [B, H, W, features].

  Raises:
    ValueError: an argument has an unsupported value.
  """
  _check(x, kernel, strides, padding, others)
  if forms.are_portable():
    return _plain(x, kernel)
  return _convolve_3x3(x, kernel)


def _by_blocks(x: jax.Array) -> jax.Array:
  """Space to depth: stacks 2x2 pixels, [B, H, W, C] to [B, H/2, W/2, 4C]."""
  batch, height, width, channels = x.shape
  x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(batch, height // 2, width // 2, 4 * channels)


def convolve_7x7_stride_2(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves as PyTorch does with stride 2 and padding 3.

  With few channels, stride 2 leaves vector and matrix units idle. Over blocks
  of 2x2 pixels, the same convolution has a 4x4 kernel, stride 1 and four times
  the channels; the kernel is padded to 8x8 with zeros above and on the left.

  Args:
    x: [B, H, W, C], H and W even.
    kernel: [7, 7, C, features].

  Returns:
    [B, H/2, W/2, features].
  """
  if forms.are_portable():
    return _plain(x, kernel, 2)
  channels, features = kernel.shape[2:]
  kernel = jnp.pad(kernel, ((1, 0), (1, 0), (0, 0), (0, 0)))
  kernel = kernel.reshape(4, 2, 4, 2, channels, features)
  kernel = kernel.transpose(0, 2, 1, 3, 4, 5)
  return jax.lax.conv_general_dilated(
    _by_blocks(x),
    kernel.reshape(4, 4, 4 * channels, features),
    window_strides=(1, 1),
    padding=[(2, 1), (2, 1)],
    dimension_numbers=_LAYOUT,
  )


def max_pool_3x3_stride_2(x: jax.Array, padding: tuple[int, int]) -> jax.Array:
  """Takes the maximum of each 3x3 window, one axis after the other.

  Args:
    x: [B, H, W, C], H and W even.
    padding: pixels before and after, on both axes: (1, 1) or (0, 1).

  Returns:
    [B, H/2, W/2, C].
  """
  low = np.array(-np.inf, x.dtype)
  if forms.are_portable():
    ends = [(0, 0), padding, padding, (0, 0)]
    return jax.lax.reduce_window(
      x, low, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ends
    )
  for axis in (1, 2):
    sides: list[tuple[int, int, int]] = [(0, 0, 0)] * x.ndim
    sides[axis] = (*padding, 0)
    half = x.shape[axis] // 2
    padded = jax.lax.pad(x, low, sides)
    a, b, c = (
      jax.lax.slice_in_dim(padded, i, i + 2 * half - 1, stride=2, axis=axis)
      for i in range(3)
    )
    x = jnp.maximum(jnp.maximum(a, b), c)
  return x
