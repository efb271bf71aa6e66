"""What the benchmarks share: flags, the device, memory."""

import argparse
import dataclasses
import os
import platform
import time

import jax
import jax.numpy as jnp

from savos_jax import errors
from savos_jax import network
from savos_jax.models import savos


def positive(text: str) -> int:
  """Parses a flag's value, an integer of at least 1."""
  value = int(text)
  if value < 1:
    raise argparse.ArgumentTypeError(f'{text}: expected at least 1')
  return value


def add_architecture_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags that `architecture` reads."""
  parser.add_argument(
    '--width_multiplier', type=float, default=1.0, help="the encoder's width"
  )
  parser.add_argument(
    '--decoder_features',
    type=positive,
    default=256,
    help='channels of the decoder',
  )
  parser.add_argument(
    '--compute_dtype', default='float32', choices=('float32', 'bfloat16')
  )
  parser.add_argument(
    '--checkpoint',
    help="the network of a training's folder or of an exported file, in place "
    'of the width and the channels above',
  )


def architecture(arguments: argparse.Namespace) -> savos.SavosConfig:
  """Returns the network that the flags describe.

  Raises:
    SavosError: there is no such network, or no such checkpoint.
  """
  if arguments.checkpoint:
    found = network.load(arguments.checkpoint).model.config
    return dataclasses.replace(found, compute_dtype=arguments.compute_dtype)
  try:
    return savos.SavosConfig(
      width_multiplier=arguments.width_multiplier,
      decoder_features=arguments.decoder_features,
      compute_dtype=arguments.compute_dtype,
    )
  except ValueError as error:
    raise errors.SavosError(f'--{error}.') from None


def matrix_product_rate(size: int = 2048, repeats: int = 5) -> float:
  """Measures floating-point operations a second in a float32 matrix product.

  Args:
    size: rows and columns of both matrices.
    repeats: the fastest of them counts, after one that compiles.
  """
  product = jax.jit(jnp.matmul)
  matrix = jnp.ones((size, size), jnp.float32)
  product(matrix, matrix).block_until_ready()
  seconds = []
  for _ in range(repeats):
    started = time.perf_counter()
    product(matrix, matrix).block_until_ready()
    seconds.append(time.perf_counter() - started)
  return 2 * size**3 / min(seconds)


def setting(arguments: argparse.Namespace) -> dict:
  """Returns the flags, the device and the versions, for the output."""
  flags = {k: v for k, v in vars(arguments).items() if k != 'run'}
  return flags | {
    'device': jax.devices()[0].device_kind,
    'machine': platform.machine(),
    'cores': os.cpu_count(),
    'jax': jax.__version__,
  }
