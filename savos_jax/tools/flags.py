"""Flags of the command line, made from the fields that they stand for.

Type, range, choices, default and help of a field are said once, in its
dataclass (see `foundation.ranges`); a value that is not allowed is refused when
the flags are parsed.
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
  """Adds the flag of a field of a dataclass.

  Args:
    parser: gets it.
    described: the dataclass.
    name: of the field.
    unset: what holds without the flag, which is None then; '': the field's
      default.
    prefix: of the flag's name, which are many dataclasses' otherwise.
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
  """Adds --max_size and --zoom, which a network may tell itself.

  Args:
    parser: gets them.
    add: what the help of --zoom says besides.
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
    help='what runs the network: onnx (ONNX Runtime; starts at once, on CPUs), '
    'jax (does everything, on all devices); default: onnx for what was '
    'exported and, on CPUs where it is installed, for the shipped network; '
    'else jax',
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
  """Adds the flag of what has a rule.

  Args:
    parser: gets it.
    name: of the attribute of what is parsed.
    rule: what it may be; a tuple is several values behind the flag.
    default: the value without the flag.
    called: the flag's name, where it is another one.
    several: it takes several such values; `default` is one of them.
    **more: of `ArgumentParser.add_argument`: help, metavar.
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
  """Returns the arguments that tell argparse how to read one value."""
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
  """Returns what flags say of fields, as their dataclass takes it.

  Args:
    arguments: what was parsed.
    names: of the fields; those that are None are left out.
  """
  given = {name: getattr(arguments, name) for name in names}
  return {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in given.items()
    if value is not None
  }
