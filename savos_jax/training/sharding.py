"""Data parallelism: every device has the state and a share of each batch.

The mesh has one axis over the devices of all processes. Each device computes
gradients on its share, which are then averaged: one all-reduce per step, and
nothing is left to XLA's partitioner.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
from jax import sharding
from jax.experimental import multihost_utils
import numpy as np

from savos_jax.foundation import errors

_AXIS = 'data'


def make_mesh(devices: list[jax.Device] | None = None) -> sharding.Mesh:
  """Returns the mesh over all devices, those of a process next to each other.

  Args:
    devices: to use instead of those of all processes.
  """
  devices = jax.devices() if devices is None else devices
  ordered = sorted(devices, key=lambda d: (d.process_index, d.id))
  return sharding.Mesh(
    np.array(ordered), (_AXIS,), axis_types=(sharding.AxisType.Auto,)
  )


def replicated(mesh: sharding.Mesh) -> sharding.NamedSharding:
  """Returns the sharding of the state: replicated on every device."""
  return sharding.NamedSharding(mesh, sharding.PartitionSpec())


def check_batch(batch_size: int, accumulation: int, devices: int) -> None:
  """Checks that a batch can be divided equally.

  Args:
    batch_size: examples per step, over all devices.
    accumulation: number of parts that each device's share is split into.
    devices: number of devices.

  Raises:
    SavosError: it can't.
  """
  if batch_size % (devices * accumulation):
    raise errors.SavosError(
      f'config.train.batch_size is {batch_size}, for {devices} devices with '
      f'config.train.accumulation={accumulation}.\n'
      f'  Expected a multiple of {devices * accumulation}: all devices take '
      'equal shares. batch_size counts the examples of all devices.'
    )


def put_batch(
  batch: Mapping[str, np.ndarray], mesh: sharding.Mesh
) -> dict[str, jax.Array]:
  """Puts this process's share of a batch on its devices.

  Args:
    batch: arrays with the examples of this process along the first axis; arrays
      already on a device are moved, which needs a single process.
    mesh: of all devices.

  Returns:
    Arrays of the whole batch, split along the first axis.
  """
  split = sharding.NamedSharding(mesh, sharding.PartitionSpec(_AXIS))

  def put(array):
    if isinstance(array, jax.Array):  # It was made on a device.
      return jax.device_put(array, split)
    return jax.make_array_from_process_local_data(split, array)

  return {name: put(array) for name, array in batch.items()}


def put_state(state: Any, mesh: sharding.Mesh) -> Any:
  """Puts a state, the same in every process, on all devices."""
  whole = replicated(mesh)

  def put(array):
    array = np.asarray(array)
    return jax.make_array_from_process_local_data(whole, array, array.shape)

  return jax.tree.map(put, state)


def from_first(tree: Any) -> Any:
  """Returns the first process's arrays in every process.

  Args:
    tree: NumPy arrays; in other processes only their shapes and dtypes matter.
  """
  return multihost_utils.broadcast_one_to_all(tree)


def local(tree: Any) -> Any:
  """Returns the copies of replicated arrays on this process's first device."""
  return jax.tree.map(lambda array: array.addressable_data(0), tree)


def over_devices(
  gradients: Callable[[Any, Any], tuple[Any, Any]], mesh: sharding.Mesh
) -> Callable[[Any, Any], tuple[Any, Any]]:
  """Turns a function of one device's share into one of a whole batch.

  Args:
    gradients: (parameters, batch) -> gradients and metrics, all averaged over
      the examples.
    mesh: of all devices.
  """
  if mesh.size == 1:
    return gradients

  def share(params, batch):
    return jax.lax.pmean(gradients(params, batch), _AXIS)

  whole, split = sharding.PartitionSpec(), sharding.PartitionSpec(_AXIS)
  # Unchecked: custom derivative rules do not declare what varies between
  # devices.
  return jax.shard_map(
    share,
    mesh=mesh,
    in_specs=(whole, split),
    out_specs=whole,
    check_vma=False,
  )
