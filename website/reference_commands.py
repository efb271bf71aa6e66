"""The reference of the commands, from the programs' own parsers."""

import argparse
import importlib
import re
from unittest import mock

from absl import flags

from savos_jax import cli

_HEAD = """# Commands

Made from the programs' own parsers: `savos-jax COMMAND --help` says the same.
`savos-jax segment` is `python -m savos_jax.tools.segment`, and so on; `train`
and `evaluate` are `python -m savos_jax.main` with `--mode=train` and
`--mode=evaluate`.

Exit status: 0 done, 2 an error that you can correct, 3 done as far as possible,
130 Ctrl-C, 143 a training that a signal ended and that the same command
continues ([all of them](../explanation/robustness.md#exit-status)).
"""


class _Found(Exception):
  """Carries a program's parser out of it."""


def parser_of(module: str) -> argparse.ArgumentParser:
  """Returns the parser that a program makes.

  Args:
    module: the program's, as 'savos_jax.tools.segment'.
  """

  def caught(parser, *_):
    raise _Found(parser)

  program = importlib.import_module(module)
  with mock.patch.object(argparse.ArgumentParser, 'parse_args', caught):
    try:
      program._parse([])
    except _Found as found:
      (parser,) = found.args
      return parser
  raise ValueError(f'{module} makes no parser.')


def _plain(text: str) -> str:
  """Returns a help text as Markdown."""
  text = ' '.join(text.split())
  # <names> are no tags, and *, _ and [ are as they are.
  return re.sub(r'([<*_\[\]|~`])', r'\\\1', text)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
  text = parser._get_formatter()._expand_help(action) if action.help else ''
  choices = action.choices
  if choices and not isinstance(choices, dict):
    text += f' (one of {", ".join(map(str, choices))})'
  shown = action.default not in (None, False, [], argparse.SUPPRESS)
  stated = 'default' in text or f'({action.default})' in text
  if action.option_strings and shown and not stated:
    text += f' (default: {action.default})'
  return text


def _called(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
  formatter = parser._get_formatter()
  if not action.option_strings:
    return f'`{formatter._format_args(action, action.dest)}`'
  value = ''
  if action.nargs != 0:
    name = action.dest.upper()
    value = ' ' + formatter._format_args(action, name)
  return ', '.join(f'`{flag}{value}`' for flag in action.option_strings)


def _flags(parser: argparse.ArgumentParser) -> list[str]:
  lines = []
  for action in parser._actions:
    if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
      continue
    if action.help == argparse.SUPPRESS:
      continue
    lines += [_called(parser, action)]
    lines += [f':   {_plain(_help(parser, action)) or "See above."}', '']
  return lines


def _described(text: str) -> list[str]:
  """Returns a docstring: sentences as they are, indented lines as code."""
  lines = []
  blocks = re.split(r'\n\s*\n', text.strip('\n'))
  for block in blocks:
    rows = block.split('\n')
    start = next(
      (n for n, row in enumerate(rows) if row.startswith('  ')), len(rows)
    )
    if rows[:start]:
      lines += [_plain(' '.join(rows[:start])), '']
    if rows[start:]:
      lines += ['```text', *(row[2:] for row in rows[start:]), '```', '']
  return lines


def _of_parser(
  name: str, parser: argparse.ArgumentParser, level: int
) -> list[str]:
  lines = [f'{"#" * level} {name}', '']
  lines += _described(parser.description or '')
  lines += _flags(parser)
  for action in parser._actions:
    if isinstance(action, argparse._SubParsersAction):
      for each, inner in action.choices.items():
        lines += _of_parser(f'{name} {each}', inner, level + 1)
  return lines


def _of_absl() -> list[str]:
  """Returns the flags of savos_jax.main, which absl parses."""
  module = importlib.import_module('savos_jax.main')
  found = flags.FLAGS.flags_by_module_dict()['savos_jax.main']
  lines = _described(module.__doc__)
  for flag in found:
    lines += [f'`--{flag.name}`', f':   {_plain(flag.help)}', '']
  lines += [
    '`--config.GROUP.FIELD`',
    ':   Sets a field of the configuration: [all of them](configuration.md).',
    '',
  ]
  return lines


def page() -> str:
  """Returns the page in Markdown."""
  lines = [_HEAD, '| command | what it does |', '| --- | --- |']
  for name, (_, does) in cli._COMMANDS.items():
    lines.append(f'| [`{name}`](#{name}) | {does} |')
  lines.append('')
  for name, (module, _) in cli._COMMANDS.items():
    if name == 'train':
      lines += ['## train', '', *_of_absl()]
    elif name == 'evaluate':
      lines += ['## evaluate', '', 'The flags of [train](#train).', '']
    else:
      lines += _of_parser(name, parser_of(f'savos_jax.{module}'), 2)
  return '\n'.join(lines)
