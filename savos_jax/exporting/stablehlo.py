"""Writes a network as StableHLO, with all that a tracker does between frames.

  savos.json           inputs and outputs of the functions, and how to use them
  reference.jax        for jax.export.deserialize(...).call(...)
  reference.mlir       the same as portable StableHLO, for other compilers
  step.jax, step.mlir
  weights.safetensors  the functions' first argument

Each takes the weights by name, and its other arrays by name, and returns arrays
by name.

One artefact is for CPUs, CUDA's GPUs and TPUs. Windows, resizing inside them,
Eq. 5, labels and what is remembered are inside; a frame comes shrunk and padded
as savos.json tells (`geometry.Geometry.prepare`).
"""

from collections.abc import Mapping
import contextlib
import pathlib
import re
from typing import Any

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from savos_jax import network
from savos_jax.exporting import choices as choices_lib
from savos_jax.exporting import described
from savos_jax.exporting import functions
from savos_jax.exporting import parity
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.inference import aggregation
from savos_jax.inference import compiled
from savos_jax.inference import geometry as geometry_lib
from savos_jax.models import forms
from savos_jax.models import savos_config

FORMAT = 'savos_jax.stablehlo'
PLATFORMS = ('cpu', 'cuda', 'tpu')
WEIGHTS = 'weights.safetensors'
_NAMES = ('reference', 'step')
FILES = (
  described.FILE, WEIGHTS,
  *(f'{name}.{kind}' for name in _NAMES for kind in ('jax', 'mlir')),
)  # fmt: skip


def check(trained: network.Trained, choices: choices_lib.Choices) -> None:
  """Refuses what can't be exported.

  Raises:
    SavosError: no size, which the windows or views of this network need; or no
      number of objects where frames are remembered.
  """
  config = described.config(trained)
  if choices.size is None and (config.zoom or config.scales != (1.0,)):
    raise errors.SavosError(
      'this network sees windows with the proportions of the frame, or several '
      'sizes of it, and --size is missing.\n  Expected that of the video, such '
      'as --size=480x854.'
    )
  if choices.objects is None and config.memory_frames:
    raise errors.SavosError(
      'this network remembers frames of each object, and --objects is missing.'
      '\n  Expected their number.'
    )


def _geometry(config, choices) -> geometry_lib.Geometry:
  """Returns the sizes of the video, or a stand-in where any will do."""
  side = savos_config.SIZE_MULTIPLE
  return geometry_lib.of(choices.size or (side, side), config)


def _finished(own, config):
  """Applies Eq. 5, also to a symbolic number of objects."""
  mode, background = config.aggregation, config.background
  count = own.shape[0]
  if isinstance(count, int):
    return aggregation.aggregate(own, mode, background)
  if mode == 'independent':
    return own
  if mode == 'winner_takes_all':
    return aggregation.winner_takes_all(own)
  agreed = aggregation.softmax(own, aggregation.background(own, background))
  # One object has nobody to agree with.
  alone = jnp.asarray(count) == 1
  return jnp.where(alone, own, agreed[1:])


def _functions(trained, config, geometry):
  """Returns both functions, by name."""
  model, seeing = trained.model, geometry.static

  def reference(params, frame, masks, size):
    params = _float32(params)
    found, _ = compiled.encoded(model, params, frame, masks, size, **seeing)
    return {'references': found}

  def step(params, frame, guidance, references, size, memory):
    params = _float32(params)
    if memory is not None:
      return compiled.one_step(
        model, params, frame, guidance, references, size, memory, **seeing,
        mode=config.aggregation, background=config.background,
        labels_size=geometry.labels_size,
        memory_confidence=config.memory_confidence,
      )._asdict()  # fmt: skip
    own, _ = compiled.probabilities(
      model, params, frame, guidance, references, size, None, **seeing
    )
    agreed = _finished(own, config)
    labels = compiled.labelled(agreed, config.aggregation, geometry.labels_size)
    sure = aggregation.confidence(agreed, size)
    return {'guidance': agreed, 'labels': labels, 'confidence': sure}

  return {'reference': reference, 'step': step}


def _by_name(function, arguments: Mapping[str, Any]):
  """Wraps a function so that it takes and returns arrays by name.

  Its callers then need none of this package's types.

  Args:
    function: takes parameters, and trees of arrays by name; returns trees.
    arguments: the trees that it takes, of shapes.
  """
  names, tree = list(_named(arguments)), jax.tree.structure(dict(arguments))

  def flat(params, inputs):
    given = jax.tree.unflatten(tree, [inputs[name] for name in names])
    return _named(function(params, **given))

  return flat


def _named(tree: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the arrays of a tree by name, such as 'references.0.share'."""
  return {
    re.sub(r'[^a-z0-9_]+', '.', jax.tree_util.keystr(path)).strip('.'): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(dict(tree))
  }


def _float32(params: Mapping[str, Any]) -> dict[str, Any]:
  flat = {name: x.astype(jnp.float32) for name, x in params.items()}
  return traverse_util.unflatten_dict(flat, sep='/')


def _inputs(trained, config, geometry, choices):
  """Returns shapes of both functions' arguments, without the parameters."""
  k, h, w = jax.export.symbolic_shape('K, h, w')
  count = choices.objects or k
  if choices.size:
    bottom, right = geometry.padding
    height, width = geometry.size[0] + bottom, geometry.size[1] + right
  else:
    height, width = 32 * h, 32 * w
  frame = jax.ShapeDtypeStruct((height, width, 3), jnp.uint8)
  masks = jax.ShapeDtypeStruct((count, height, width), jnp.float32)
  size = jax.ShapeDtypeStruct((2,), jnp.int32)
  params = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, jnp.float32),
    functions.flat(trained.params),
  )
  reference = _functions(trained, config, geometry)['reference']
  given = {'frame': frame, 'masks': masks, 'size': size}
  with _forms(choices):
    kept = jax.eval_shape(lambda p, x: reference(p, **x), params, given)
  memory = None
  if config.memory_frames and kept['references'][0].remembered is not None:
    memory = jax.eval_shape(
      lambda given: compiled.empty_memory(given, config.memory_frames),
      kept['references'],
    )
  stepped = {'frame': frame, 'guidance': masks, 'size': size, 'memory': memory}
  return {'reference': given, 'step': stepped | kept}


def _forms(choices) -> contextlib.AbstractContextManager:
  """Portable forms where a size is a symbol: the fast ones need numbers."""
  known = choices.size and choices.objects
  return contextlib.nullcontext() if known else forms.portable()


def write(
  out: pathlib.Path, trained: network.Trained, choices: choices_lib.Choices
) -> None:
  """Writes a network's folder.

  Args:
    out: the folder; it is made if it is not there.
    trained: the network.
    choices: the size is that of the video's frames; float16 is that of the
      weights, which are float32 again inside.

  Raises:
    SavosError: a value is beyond float16, or the disk is full.
  """
  out.mkdir(parents=True, exist_ok=True)
  config = described.config(trained)
  geometry = _geometry(config, choices)
  network.write(out / WEIGHTS, trained, choices.dtype)
  dtype = jnp.dtype(choices.dtype)
  params = {
    name: jax.ShapeDtypeStruct(x.shape, dtype)
    for name, x in functions.flat(trained.params).items()
  }
  inputs = _inputs(trained, config, geometry, choices)
  made = _functions(trained, config, geometry)
  told = {}
  for name, function in made.items():
    given = _named(inputs[name])
    flat = _by_name(function, inputs[name])
    with _forms(choices):
      exported = jax.export.export(jax.jit(flat), platforms=PLATFORMS)(
        params, given
      )
    results = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    with files.replacing(out / f'{name}.jax') as partial:
      partial.write_bytes(exported.serialize())
    with files.replacing(out / f'{name}.mlir') as partial:
      partial.write_bytes(exported.mlir_module_serialized)
    told[name] = {
      'files': [f'{name}.jax', f'{name}.mlir'],
      'inputs': described.arrays(given),
      'outputs': described.arrays(results),
    }
  description = described.network(
    FORMAT,
    trained,
    told,
    weights=WEIGHTS,
    platforms=PLATFORMS,
    size=list(geometry.size) if choices.size else 'any',
    padding=list(geometry.padding) if choices.size else 'to multiples of 32',
  )
  described.write(out, description)


def _read(path: pathlib.Path) -> jax.export.Exported:
  return jax.export.deserialize(bytearray(path.read_bytes()))


def measure(
  out: pathlib.Path, trained: network.Trained, choices: choices_lib.Choices
) -> parity.Parity:
  """Compares the exported step with the one that the tracker compiles."""
  config = described.config(trained)
  geometry = _geometry(config, choices)
  shape = choices.size or parity.SIZE
  geometry = geometry_lib.of(shape, config)
  first, second, masks = parity.video(choices.objects or parity.COUNT, shape)
  frames = [
    geometry.prepare(np.rint(255 * one[0]).astype(np.uint8))
    for one in (first, second)
  ]
  prepared = np.stack([geometry.prepare(mask) for mask in masks])
  size = np.array(geometry.size, np.int32)
  stored = safetensors.numpy.load_file(out / WEIGHTS)
  load = {name: _read(out / f'{name}.jax').call for name in _NAMES}
  given = {'size': size, 'frame': frames[0], 'masks': prepared}
  kept = load['reference'](stored, given)
  given = {'size': size, 'frame': frames[1], 'guidance': prepared, **kept}
  seeing = geometry.static
  references, _ = compiled.encode_references(
    trained.model, trained.params, frames[0], prepared, size, **seeing
  )
  memory = None
  if config.memory_frames and references[0].remembered is not None:
    memory = compiled.empty_memory(references, config.memory_frames)
    given |= _named({'memory': memory})
  found = load['step'](stored, given)
  alone = len(masks) == 1
  expected = compiled.step(
    trained.model, trained.params, frames[1], prepared, references, size,
    memory, **seeing, mode=config.aggregation,
    background='max' if alone else config.background,
    labels_size=geometry.labels_size,
    memory_confidence=config.memory_confidence,
  )  # fmt: skip
  return parity.between(
    np.asarray(expected.guidance), np.asarray(found['guidance'])
  )
