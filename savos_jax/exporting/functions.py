"""The two functions of which an exported network consists.

  reference: frame, mask -> share, keys, values     called once for each object
  step: frame, guidance, share, keys, values, rows, columns -> probability
                                                    for each frame

Frames are RGB in [0, 1], float32 [K, H, W, 3]: one for each of K objects, whose
windows may differ. Masks, guidance and probabilities are [K, H, W]. H and W are
multiples of 32. Only networks with a look back have keys and values.

Rows and columns, int32 [h] and [w], are the cells of 8x8 pixels that are
decoded, see `decoder.Region`; the probability is theirs, [K, 8 h, 8 w]. Exports
of a fixed size do without them and decode everything.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from flax import traverse_util
import jax
import jax.numpy as jnp

from savos_jax.models import decoder
from savos_jax.models import forms
from savos_jax.models import matching
from savos_jax.models import savos
from savos_jax.models import savos_config

Function = Callable[
  [Mapping[str, jax.Array], Mapping[str, jax.Array]], dict[str, jax.Array]
]


def reference(model: savos.SAVOS) -> Function:
  """Returns the function that encodes a reference.

  Its arguments are parameters by name and inputs by name.
  """

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
  """Returns the function that segments a frame.

  Its arguments are parameters by name and inputs by name.
  """

  def function(params, inputs):
    remembered = region = None
    if 'rows' in inputs:
      region = decoder.Region(inputs['rows'], inputs['columns'])
    if model.config.matching:
      remembered = matching.Remembered(inputs['keys'], inputs['values'])
    with forms.portable():
      logits: Any = model.apply(
        {'params': traverse_util.unflatten_dict(params, sep='/')},
        inputs['frame'],
        inputs['guidance'],
        savos.Reference(inputs['share'], remembered),
        region=region,
        method=savos.SAVOS.segment,
      )
    behind, front = (
      jax.lax.index_in_dim(logits, i, 3, keepdims=False) for i in range(2)
    )
    # The softmax of two.
    return {'probability': jax.nn.sigmoid(front - behind)}

  return function


# Name -> builds the function for a network.
FUNCTIONS: dict[str, Callable[[savos.SAVOS], Function]] = {
  'reference': reference,
  'step': step,
}


def flat(params: Any) -> dict[str, Any]:
  """Returns the parameters by name, as the functions take them."""
  return traverse_util.flatten_dict(params, sep='/')


def inputs(
  model: savos.SAVOS, objects: int | None, size: tuple[int, int] | None
) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
  """Returns shapes and dtypes of the inputs.

  Args:
    model: the network.
    objects: K; None: any number, a symbol.
    size: H and W, multiples of 32; None: any, symbols.

  Returns:
    Inputs by name, for 'reference' and for 'step'.
  """
  k, h, w, rows, columns = jax.export.symbolic_shape('K, h, w, rows, columns')
  count = objects or k
  side = savos_config.SIZE_MULTIPLE
  height, width = (x // side for x in size) if size else (h, w)

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
  cells = {}
  if size is None:
    cells = {
      'rows': jax.ShapeDtypeStruct((rows,), jnp.int32),
      'columns': jax.ShapeDtypeStruct((columns,), jnp.int32),
    }
  return {
    'reference': {'frame': frame, 'mask': mask},
    'step': {'frame': frame, 'guidance': mask, **kept, **cells},
  }
