"""The two functions that a network is exported as.

  reference: frame, mask -> share, keys, values      once an object
  step: frame, guidance, share, keys, values -> probability    once a frame

A frame is RGB in [0, 1], float32 [K, H, W, 3] with K objects, each of which may
see another part of it; masks, guidance and probabilities are [K, H, W]. H and W
are multiples of 32. Keys and values are of networks that look back, others have
a share alone.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from flax import traverse_util
import jax
import jax.numpy as jnp

from savos_jax.models import forms
from savos_jax.models import matching
from savos_jax.models import savos

Function = Callable[
  [Mapping[str, jax.Array], Mapping[str, jax.Array]], dict[str, jax.Array]
]


def reference(model: savos.SAVOS) -> Function:
  """Returns the function of a reference: of parameters and inputs by name."""

  def function(params, inputs):
    with forms.portable():
      found: Any = model.apply(
        {'params': traverse_util.unflatten_dict(params, sep='/')},
        inputs['frame'],
        inputs['mask'],
        method=savos.SAVOS.encode_reference,
      )
    outputs = {'share': found.share}
    if found.remembered is not None:
      outputs |= found.remembered._asdict()
    return outputs

  return function


def step(model: savos.SAVOS) -> Function:
  """Returns the function of a frame: of parameters and inputs by name."""

  def function(params, inputs):
    remembered = None
    if model.config.matching:
      remembered = matching.Remembered(inputs['keys'], inputs['values'])
    with forms.portable():
      logits: Any = model.apply(
        {'params': traverse_util.unflatten_dict(params, sep='/')},
        inputs['frame'],
        inputs['guidance'],
        savos.Reference(inputs['share'], remembered),
        method=savos.SAVOS.segment,
      )
    behind, front = (
      jax.lax.index_in_dim(logits, i, 3, keepdims=False) for i in range(2)
    )
    # The softmax of two.
    return {'probability': jax.nn.sigmoid(front - behind)}

  return function


# Name -> what makes it of a network.
FUNCTIONS: dict[str, Callable[[savos.SAVOS], Function]] = {
  'reference': reference,
  'step': step,
}


def flat(params: Any) -> dict[str, Any]:
  """Returns parameters by the names that the functions take."""
  return traverse_util.flatten_dict(params, sep='/')


def inputs(
  model: savos.SAVOS, count: Any, height: Any, width: Any
) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
  """Returns what each function takes.

  Args:
    model: the network.
    count: K, a number or a symbol.
    height: of the frame by 32, a number or a symbol.
    width: of it by 32.

  Returns:
    Of 'reference' and 'step' the inputs by name.
  """

  def of(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)

  c = model.config
  frame = of(count, 32 * height, 32 * width, 3)
  mask = of(count, 32 * height, 32 * width)
  kept = {'share': of(count, height, width, c.decoder_features)}
  if c.matching:
    places = count, 2 * height, 2 * width
    kept['keys'] = of(*places, c.matching_keys)
    kept['values'] = of(*places, c.matching_values)
  return {
    'reference': {'frame': frame, 'mask': mask},
    'step': {'frame': frame, 'guidance': mask, **kept},
  }
