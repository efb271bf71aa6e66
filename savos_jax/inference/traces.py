"""Keeps traced functions on disk beside the compiled ones.

A trace is what JAX makes of a Python function before compiling it. JAX's own
cache needs the trace to find the compiled function, and tracing the network
takes longer than loading what was compiled.
"""

from collections.abc import Callable
import functools
import hashlib
import importlib.util
import pathlib
import threading
from typing import Any

import flax
import jax
from jax import export
import jaxlib

from savos_jax.foundation import compilation_cache
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import processor

# Folders of the package whose functions are traced.
_TRACED = ('foundation', 'inference', 'models')
_CHECKSUM = 16  # Bytes.
# Threads that need the same trace make one, and read it.
_lock = threading.RLock()


@functools.cache
def _sources() -> bytes:
  """Returns a hash of the sources of what is traced; empty without any."""
  root = pathlib.Path(__file__).parents[1]
  paths = sorted(path for name in _TRACED for path in root.glob(f'{name}/*.py'))
  if not paths:  # They may be in a zip file.
    return b''
  return _digest(b''.join(_digest(path.read_bytes()) for path in paths))


def _writable() -> bool:
  """Returns whether JAX can write traces: it does not install what it needs."""
  return importlib.util.find_spec('flatbuffers') is not None


def _digest(content: bytes) -> bytes:
  return hashlib.blake2b(content, digest_size=_CHECKSUM).digest()


def _name(function: Callable[..., Any], shapes: Any, static: Any) -> str:
  """Returns a file name that tells all that a trace depends on."""
  config: Any = jax.config  # Not every JAX has types of all its settings.
  leaves, tree = jax.tree.flatten(shapes)
  depends = (
    _sources(),
    [library.__version__ for library in (jax, jaxlib, flax)],
    sorted(config.values.items()),
    processor.has_avx512(),
    static,
    str(tree),
    [(leaf.shape, str(leaf.dtype), leaf.weak_type) for leaf in leaves],
  )
  digest = _digest(repr(depends).encode()).hex()
  return f'{function.__name__}-{digest}.trace'


def _read(path: pathlib.Path) -> export.Exported | None:
  """Reads a trace; None if there is none or the file is damaged."""
  try:
    content = path.read_bytes()
  except OSError:
    return None
  checksum, trace = content[:_CHECKSUM], content[_CHECKSUM:]
  if _digest(trace) != checksum:
    return None
  return export.deserialize(bytearray(trace))


def _write(path: pathlib.Path, traced: export.Exported) -> None:
  """Writes a trace if that is possible: nothing depends on it."""
  trace = bytes(traced.serialize())
  try:
    with files.replacing(path) as partial:
      partial.write_bytes(_digest(trace) + trace)
  except errors.SavosError:
    return


def kept(function: Callable[..., Any]) -> Callable[..., Any]:
  """Makes a function that is traced for CPUs only once, whatever the process.

  Args:
    function: takes the network, trees of arrays, and static keyword arguments,
      and depends on nothing else that could change: what is static is told by
      its `repr`. Named tuples must be registered with `jax.export`.

  Returns:
    The same function, to be passed to `jax.jit`. It cannot be differentiated.
    Nothing is kept unless `compilation_cache.enable` was called and flatbuffers
    is installed, as with ONNX Runtime and TensorFlow.
  """

  @functools.wraps(function)
  def called(model: Any, *arrays: Any, **static: Any) -> Any:
    folder = compilation_cache.folder()
    if folder is None or not _sources() or not _writable():
      return function(model, *arrays, **static)
    shapes = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, weak_type=x.weak_type),
      arrays,
    )
    told = model, sorted(static.items())
    path = folder / 'traces' / _name(function, shapes, told)

    def bound(*arrays: Any) -> Any:
      return function(model, *arrays, **static)

    with _lock:
      traced = _read(path)
      if traced is None:
        traced = export.export(jax.jit(bound), platforms=['cpu'])(*shapes)
        _write(path, traced)
    return traced.call(*arrays)

  return called
