"""The reference of the configuration, from configs/default.py and its rules."""

import ast
import dataclasses
import pathlib
import re

from ml_collections import config_dict

from savos_jax import rules
from savos_jax.configs import default

_FILE = pathlib.Path(__file__).parents[1] / 'configs' / 'default.py'
_SECTION = re.compile(r'# --- (.*?)\.? -+$')
_FIELD = re.compile(r'  ([\w.]+) = [^#]*?(?:  # (.*))?$')
_GROUP = re.compile(r'  config\.(\w+) = (\w+) = config_dict')

_HEAD = """# Configuration

Made from `configs/default.py` and from the rules that every value is checked
against before anything starts. Set a field on the command line:

```sh
savos-jax train --config=davis17 --workdir=runs/davis17 \\
    --config.train.steps=1000
```

A tuple is written as in Python: `--config.eval.scales='(0.75, 1.0, 1.25)'`.
[Presets](#presets) lists what the other configurations change.
"""


@dataclasses.dataclass
class Field:
  """A field of the configuration.

  Attributes:
    name: as 'config.train.steps'.
    default: as Python writes it.
    expected: what it may be, in words.
    help: what it is.
    before: what is said of it and of those that follow.
  """

  name: str
  default: str
  expected: str
  help: str
  before: str = ''


@dataclasses.dataclass
class Section:
  """A part of the configuration.

  Attributes:
    title: of the part.
    intro: what it is.
    fields: in order.
  """

  title: str
  intro: str
  fields: list[Field]


def flat(config: config_dict.ConfigDict, prefix: str = 'config') -> dict:
  """Returns name, as 'config.train.steps' -> value of every field."""
  found = {}
  for name, value in config.items():
    if isinstance(value, config_dict.ConfigDict):
      found |= flat(value, f'{prefix}.{name}')
    else:
      found[f'{prefix}.{name}'] = value
  return found


def sections() -> list[Section]:
  """Reads what configs/default.py says of each field."""
  values = flat(default.get_config())
  found = [Section('General', '', [])]
  groups = {'config': 'config'}
  comment: list[str] = []
  body = _FILE.read_text('utf-8').partition('ConfigDict()\n')[2]
  for line in body.splitlines():
    stripped = line.strip()
    if section := _SECTION.match(stripped):
      title = section[1].partition('; see ')[0]
      found.append(Section(title, '', []))
      comment = []
    elif group := _GROUP.match(line):
      groups[group[2]] = f'config.{group[1]}'
      found[-1].intro, comment = ' '.join(comment), []
    elif stripped.startswith('#'):
      comment.append(stripped.lstrip('# '))
    elif field := _FIELD.match(line):
      variable, _, rest = field[1].partition('.')
      name = f'{groups.get(variable, variable)}.{rest}'
      if name not in values:
        continue
      before, comment = _split(comment)
      told = ' '.join([*comment, *([field[2]] if field[2] else [])])
      made = dataclasses.replace(_field(name, values, told), before=before)
      found[-1].fields.append(made)
      comment = []
  _add_rest(found, values)
  return found


def _split(comment: list[str]) -> tuple[str, list[str]]:
  """Splits off what introduces several fields: it ends in a colon."""
  ends = [n + 1 for n, line in enumerate(comment) if line.endswith(':')]
  end = ends[-1] if ends else 0
  return ' '.join(comment[:end]), comment[end:]


def _field(name: str, values: dict, told: str) -> Field:
  rule = rules.RULES.get(name)
  expected = rule.expected if rule else ''
  return Field(name, repr(values[name]), expected, told)


def _add_rest(found: list[Section], values: dict) -> None:
  """Adds the fields that default.py copies from another group."""
  told = {field.name for section in found for field in section.fields}
  rest = [name for name in values if name not in told]
  helps = {
    field.name: field.help for section in found for field in section.fields
  }
  fields = [
    _field(name, values, helps.get(name.replace('.online', ''), ''))
    for name in rest
  ]
  if fields:
    found.append(
      Section(
        'Lucid dreams of online learning',
        'As config.lucid, for the dreams that online learning trains on.',
        fields,
      )
    )


def _cell(text: str) -> str:
  return re.sub(r'([<*_\[\]|~])', r'\\\1', text)


def _presets() -> list[str]:
  lines = [
    *('## Presets', ''),
    *('What each configuration changes of these defaults.', ''),
  ]
  base = flat(default.get_config())
  for path in sorted(_FILE.parent.glob('*.py')):
    if path.stem in ('__init__', 'default'):
      continue
    tree = ast.parse(path.read_text('utf-8'))
    told = (ast.get_docstring(tree) or '').partition('\n')[0]
    lines += [f'### {path.stem}', '', _cell(told), '']
    module = __import__(f'savos_jax.configs.{path.stem}', fromlist=['x'])
    function = module.get_config
    if function.__code__.co_argcount - len(function.__defaults__ or ()):
      lines += ['Takes a stage: see the file.', '']
      continue
    changed = {
      name: value
      for name, value in flat(function()).items()
      if name not in base or base[name] != value
    }
    if changed:
      lines += ['| field | value |', '| --- | --- |']
      lines += [f'| `{n}` | `{v!r}` |' for n, v in changed.items()]
    else:
      lines += ['Nothing: the default, by another name.']
    lines.append('')
  return lines


def page() -> str:
  """Returns the page in Markdown."""
  lines = [_HEAD]
  for section in sections():
    lines += [f'## {section.title}', '']
    if section.intro:
      lines += [_cell(section.intro), '']
    for field in section.fields:
      if field.before:
        lines += [_cell(field.before), '']
      lines += [f'`{field.name}` = `{field.default}`']
      told = [_cell(field.help)] if field.help else []
      if field.expected:
        told.append(f'*Expected: {_cell(field.expected)}.*')
      lines += [f':   {" ".join(told)}', '']
  return '\n'.join([*lines, *_presets()])
