"""Command-line flags generated from dataclass fields.

The type, range, choices, default and help of a field are defined once, in its
dataclass (see `foundation.ranges`). Invalid values are refused when the flags
are parsed.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
from typing import Any

from savos_jax import checkpoints
from savos_jax.foundation import ranges
from savos_jax.inference import options
from savos_jax.tools import command


def add_field(
  parser: argparse.ArgumentParser,
  described: type,
  name: str,
  *,
  unset: str = '',
  prefix: str = '',
  **more: Any,
) -> None:
  """Adds a flag for a field of a dataclass.

  Args:
    parser: where to add it.
    described: the dataclass.
    name: of the field.
    unset: describes the effect of omitting the flag, whose value is then None;
      '': the field's default is used.
    prefix: of the flag's name, to tell dataclasses apart.
    **more: see `add_flag`.
  """
  field = {field.name: field for field in dataclasses.fields(described)}[name]
  default, text = field.default, field.metadata['help']
  if unset:
    default, text = None, f'{text}; default: {unset}'
  add_flag(
    parser,
    prefix + name,
    field.metadata['rule'],
    **{'default': default, 'help': text, **more},
  )


def add_seeing(parser: argparse.ArgumentParser, add: str = '') -> None:
  """Adds what the network sees of a frame, and when.

  The flags are --max_size, --zoom, --focus and --lost_every; their defaults may
  be the network's.

  Args:
    parser: where to add them.
    add: appended to the help of --zoom.
  """
  stored = 'as the network was evaluated in its training'
  add_field(
    parser,
    options.InferenceConfig,
    'short_side',
    called='max_size',
    metavar='PIXELS',
    unset=f'{stored}, else 480',
  )
  add_field(
    parser,
    options.InferenceConfig,
    'zoom',
    metavar='FACTOR',
    unset=f'{stored}{add}',
  )
  add_field(
    parser,
    options.InferenceConfig,
    'focus',
    metavar='FACTOR',
    unset=stored,
  )
  add_field(
    parser,
    options.InferenceConfig,
    'lost_every',
    metavar='FRAMES',
    unset=stored,
  )


def add_network(parser: argparse.ArgumentParser) -> None:
  """Adds --checkpoint and --runtime, which `tools.networks` reads."""
  parser.add_argument(
    '--checkpoint',
    type=command.path,
    default=checkpoints.DEFAULT,
    help='the network: a file of savos_jax.tools.export_checkpoint, a '
    "training's --workdir, or a folder of savos_jax.tools.export "
    '--format=onnx; default: the network that is shipped',
  )
  parser.add_argument(
    '--runtime',
    choices=('auto', 'jax', 'onnx'),
    default='auto',
    help='runs the network: onnx (ONNX Runtime: CPUs only, starts at once) or '
    'jax (all features, all devices); default: onnx for exported networks and, '
    'if it is installed and there is no accelerator, for the shipped network; '
    'otherwise jax',
  )


def add_flag(
  parser: argparse.ArgumentParser,
  name: str,
  rule: ranges.Rule,
  *,
  default: Any,
  called: str = '',
  several: bool = False,
  **more: Any,
) -> None:
  """Adds a flag whose values obey a rule.

  Args:
    parser: where to add it.
    name: of the attribute in the parsed arguments.
    rule: the allowed values; a tuple means several values after the flag.
    default: the value without the flag.
    called: the flag's name, if it differs from `name`.
    several: whether it takes several such values; `default` is a single one.
    **more: for `ArgumentParser.add_argument`: help, metavar.
  """
  if isinstance(rule, ranges.Switch):
    more['action'] = argparse.BooleanOptionalAction
  elif isinstance(rule, ranges.Items):
    more['nargs'] = rule.most if rule.most == rule.least else '+'
    more |= _reading(rule.each)
    default = default and list(default)
  else:
    more |= _reading(rule)
    if several:
      more['nargs'], default = '+', [default]
  parser.add_argument(f'--{called or name}', dest=name, default=default, **more)


def _reading(rule: ranges.Rule) -> dict[str, Any]:
  """Returns the arguments that make argparse parse one value."""
  if isinstance(rule, ranges.Choice):
    return {'choices': rule.values}
  kind = str
  if isinstance(rule, ranges.Number):
    kind = int if rule.whole else float
  return {'type': _reader(kind, rule)}


def _reader(kind: type, rule: ranges.Rule) -> Callable[[str], Any]:
  def read(text: str) -> Any:
    try:
      value = kind(text)
    except ValueError:
      value = None
    if value is None or not rule.allows(value):
      raise argparse.ArgumentTypeError(f'{text}: expected {rule.expected}')
    return value

  return read


def values(
  arguments: argparse.Namespace, names: Iterable[str]
) -> dict[str, Any]:
  """Returns the values of fields given as flags, for their dataclass.

  Args:
    arguments: the parsed arguments.
    names: of the fields; those that are None are left out.
  """
  given = {name: getattr(arguments, name) for name in names}
  return {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in given.items()
    if value is not None
  }
