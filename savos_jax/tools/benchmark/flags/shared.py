"""Flags that several benchmarks have, and how their values are read."""

import argparse
import dataclasses

from savos_jax.models import savos_config
from savos_jax.tools import command
from savos_jax.tools import flags

# Of a CPU's and of an accelerator's matrix product: the latter are idle for
# longer between two of them.
PRODUCT_SIZES = {'cpu': 2048}
PRODUCT_SIZE = 8192
# Of a network: fields of `SavosConfig`.
ARCHITECTURE = ('width_multiplier', 'decoder_features')
TRACED_ROUNDS = 3  # Of a profile.
# Of a training step: AdamW, averaged weights; the paper's SGD.
PRESETS = ('practical', 'paper')
SWITCH = {'off': False, 'on': True}  # Of flags with several values.


@dataclasses.dataclass(frozen=True, repr=False)
class Size:
  """Of frames, pixels; as text HEIGHTxWIDTH."""

  height: int
  width: int

  def __repr__(self) -> str:
    return f'{self.height}x{self.width}'


DAVIS_SIZE = Size(480, 854)


def positive(text: str) -> int:
  """Parses a flag's value, an integer of at least 1."""
  value = int(text)
  if value < 1:
    raise argparse.ArgumentTypeError(f'{text}: expected at least 1')
  return value


def size(text: str) -> Size:
  """Parses a flag's value, HEIGHTxWIDTH."""
  parts = text.lower().split('x')
  if len(parts) != 2 or not all(p.isdecimal() and int(p) > 0 for p in parts):
    raise argparse.ArgumentTypeError(
      f'{text}: expected HEIGHTxWIDTH in pixels, as {DAVIS_SIZE}'
    )
  return Size(*map(int, parts))


def add_architecture_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags that `common.architecture` reads."""
  for name in ARCHITECTURE:
    flags.add_field(parser, savos_config.SavosConfig, name)
  parser.add_argument(
    '--checkpoint',
    help="the network of a training's folder or of an exported file, in place "
    'of the width and the channels above',
  )


def add_sweep_arguments(
  parser: argparse.ArgumentParser, runs: bool = True
) -> None:
  """Adds the flags of benchmarks of a network: what rows are for.

  Args:
    parser: gets them.
    runs: whether it is run, and can be profiled.
  """
  parser.add_argument(
    '--size',
    type=size,
    nargs='+',
    default=[DAVIS_SIZE],
    metavar='HxW',
    help='height and width of the frames, pixels',
  )
  flags.add_field(
    parser, savos_config.SavosConfig, 'compute_dtype', several=True
  )
  if not runs:
    return
  parser.add_argument(
    '--trace',
    type=command.path,
    metavar='FOLDER',
    help=f'gets a profile of each row: {TRACED_ROUNDS} more rounds after those '
    'timed',
  )


def add_step_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags that every training step that is compiled has."""
  parser.add_argument(
    '--accumulation',
    type=positive,
    nargs='+',
    default=[1],
    help='parts in which each device takes its examples',
  )
  parser.add_argument(
    '--preset',
    nargs='+',
    choices=PRESETS,
    default=[PRESETS[0]],
    help='of the training: practical: AdamW and averaged weights, which keep '
    "three arrays a parameter; paper: the paper's SGD, which keeps one",
  )


def add_roofline_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags that `roofline.measure_for` reads."""
  parser.add_argument(
    '--product_size',
    type=positive,
    help='rows and columns of the matrix product that is the limit; default '
    f'{PRODUCT_SIZES["cpu"]} on CPUs, {PRODUCT_SIZE} elsewhere',
  )
  parser.add_argument(
    '--copy_mib',
    type=positive,
    default=256,
    help='of the array whose reading and writing is the limit, MiB; several '
    'times as large as the caches',
  )


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags that all benchmarks have."""
  parser.add_argument(
    '--json',
    type=command.path,
    metavar='FILE',
    help='gets flags, device and rows as JSON',
  )
  command.add_overwrite(parser)
