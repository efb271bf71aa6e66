"""Loads the network that a program was given, for the runtime that suits it."""

import argparse
from collections.abc import Iterable
import dataclasses
import importlib.util
import pathlib
from typing import Any

from savos_jax import checkpoints
from savos_jax.foundation import errors
from savos_jax.inference import with_onnx

# One of these is installed where JAX supports an accelerator.
_ACCELERATORS = ('jax_plugins', 'libtpu')


@dataclasses.dataclass(frozen=True)
class Network:
  """A network, ready for a tracker.

  Attributes:
    model: the first argument of `tracker.Tracker`.
    params: its second argument; None where the runtime has the parameters.
    evaluated: settings of the network's evaluation, fields of
      `InferenceConfig`.
    checksum: of the parameters.
    runtime: 'jax' or 'onnx'.
  """

  model: Any
  params: Any
  evaluated: dict[str, Any]
  checksum: str
  runtime: str


def load(
  arguments: argparse.Namespace, videos: Iterable[argparse.Namespace] = ()
) -> Network:
  """Loads the network of --checkpoint for --runtime.

  Args:
    arguments: of the program.
    videos: arguments of each video, where they have their own.

  Raises:
    SavosError: there is no such network, the runtime cannot run it, or the
      runtime is not installed.
  """
  if _runtime(arguments, videos) == 'onnx':
    return _exported(arguments)
  return _trained(arguments)


def on_host(network: Network) -> Network:
  """Returns the network as other processes are given it: without a device."""
  if network.runtime != 'jax':
    return network
  import jax

  return dataclasses.replace(network, params=jax.device_get(network.params))


def on_device(network: Network) -> Network:
  """Returns the network as this process runs it, where the device has it."""
  if network.runtime != 'jax':
    return network
  from savos_jax.inference import with_jax

  params = with_jax.placed_params(network.params)
  return dataclasses.replace(network, params=params)


def is_accelerated(network: Network) -> bool:
  """Whether anything but the CPU runs the network."""
  if network.runtime != 'jax':
    return False
  import jax

  return jax.default_backend() != 'cpu'


def _is_installed(module: str) -> bool:
  return importlib.util.find_spec(module) is not None


def _runtime(arguments, videos) -> str:
  """Returns the runtime that was asked for, or the best one available."""
  if arguments.runtime != 'auto':
    return arguments.runtime
  if with_onnx.is_exported(arguments.checkpoint):
    return 'onnx'
  if str(arguments.checkpoint) != checkpoints.DEFAULT:
    return 'jax'
  if not _is_installed('jax'):
    return 'onnx'
  accelerated = any(map(_is_installed, _ACCELERATORS))
  able = not (accelerated or any(map(_needs_jax, (arguments, *videos))))
  return 'onnx' if able and _is_installed('onnxruntime') else 'jax'


def _needs_jax(arguments) -> bool:
  """Whether the flags need what only JAX can do."""
  scales = getattr(arguments, 'scales', None) or (1.0,)
  return (
    tuple(scales) != (1.0,)
    or bool(getattr(arguments, 'flip', False))
    or bool(getattr(arguments, 'online_steps', 0))
    or getattr(arguments, 'ray', None) is not None
  )


def _exported(arguments) -> Network:
  folder = pathlib.Path(arguments.checkpoint)
  if str(arguments.checkpoint) == checkpoints.DEFAULT:
    folder = checkpoints.find(arguments.checkpoint).parent
  elif folder.exists() and not with_onnx.is_exported(folder):
    raise errors.SavosError(
      f'{folder}: holds no {with_onnx.DESCRIPTION}, so ONNX Runtime cannot run '
      'it.\n  Expected a folder of savos_jax.tools.export: export this '
      f'network first (savos-jax export --checkpoint={folder} --format=onnx '
      '--out=DIR), or run it by JAX (--runtime=jax).'
    )
  exported = with_onnx.read(folder)
  model = with_onnx.Onnx(exported)
  return Network(model, None, exported.evaluated, exported.checksum, 'onnx')


def _trained(arguments) -> Network:
  if with_onnx.is_exported(arguments.checkpoint):
    raise errors.SavosError(
      f'{arguments.checkpoint}: is an exported network.\n  Expected '
      '--runtime=onnx; JAX runs files of savos_jax.tools.export_checkpoint and '
      'trainings.'
    )
  if not _is_installed('jax'):
    raise errors.SavosError(
      'JAX is not installed, which runs this network.\n  Expected it: pip '
      "install 'savos_jax[jax]'; or an exported network and --runtime=onnx."
    )
  # They take long to import, and need not be there.
  from savos_jax import network
  from savos_jax.foundation import compilation_cache

  compilation_cache.enable()
  return of(network.load(arguments.checkpoint))


def of(trained: Any) -> Network:
  """Wraps a `network.Trained`, for JAX."""
  from savos_jax.weights import fingerprints

  return on_device(
    Network(
      trained.model,
      trained.params,
      trained.config.get('eval', {}),
      fingerprints.fingerprint(trained.params),
      'jax',
    )
  )
