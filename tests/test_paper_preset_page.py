"""What docs/how-to/paper-preset.md has people copy, done at a tiny size."""

import csv
import importlib
import pathlib
import re
import shlex
import shutil

from absl import flags
from ml_collections import config_flags
import pytest
import safetensors.numpy

from savos_jax import cli
from savos_jax import main
from savos_jax import settings
from savos_jax.configs import davis17
from tests import tiny_resnets

pytestmark = [
  pytest.mark.slow,
  pytest.mark.usefixtures('library_promotion'),
]

PAGE = pathlib.Path(__file__).parents[1] / 'docs' / 'how-to' / 'paper-preset.md'
_SHELL = re.findall('```sh\n(.*?)```', PAGE.read_text('utf-8'), re.S)
# What makes the page's commands tiny: its width, its size, its steps.
_TINY = (
  '--config.model.block_counts=(1, 1, 1, 1)',
  '--config.model.width_multiplier=0.0625',
  '--config.model.decoder_features=8',
  '--config.model.gcb_kernel_size=3',
  '--config.sampling.crop_size=(32, 64)',
  '--config.sampling.dream_only_steps=1',
  '--config.train.accumulation=1',
  '--config.train.steps=2',
  '--config.train.checkpoint_every=1',
  '--config.eval.every_steps=1',
  '--config.eval.report=False',
)


def commands() -> list[list[str]]:
  """Returns what the page has of `savos-jax ...`, in order, as words."""
  lines = '\n'.join(_SHELL).replace('\\\n', ' ').splitlines()
  return [shlex.split(line)[1:] for line in lines if line[:6] == 'savos-']


def configured(words):
  """Returns the configuration and workdir of a training's command line."""
  values = flags.FlagValues()
  argv = ['savos-jax', *map(main.by_name, words)]
  config_flags.DEFINE_config_file('config', flag_values=values, sys_argv=argv)
  flags.DEFINE_string('workdir', None, 'Folder.', flag_values=values)
  assert values(argv) == ['savos-jax']
  return values['config'].value, pathlib.Path(values['workdir'].value)


@pytest.fixture
def downloads(tmp_path, monkeypatch, davis_folder):
  """A folder to work in, with what the page has people download."""
  monkeypatch.chdir(tmp_path)
  held_out = [w for words in commands() for w in words if 'held_out=(' in w]
  (held_out,) = [word.partition('=')[2] for word in held_out]
  names = ['bear', *re.findall(r"'([\w-]+)'", held_out)]
  root = davis_folder(
    splits={'train': len(names), 'val': 1}, size=(32, 64), objects=[1, 2]
  )
  for number, name in enumerate(names):
    for folder in ('JPEGImages', 'Annotations'):
      images = root / folder / '480p'
      (images / f'train{number}').rename(images / name)
  lists = root / 'ImageSets'
  (lists / '2017' / 'train.txt').write_text('\n'.join(names))
  shutil.copytree(lists / '2017', lists / '2016')
  # As the importer reads without PyTorch.
  drawn = tiny_resnets.tensors((1, 1, 1, 1), 4, 4)
  safetensors.numpy.save_file(drawn, tmp_path / 'resnet.safetensors')
  return tmp_path


def module_of(command):
  return importlib.import_module(f'savos_jax.{cli._COMMANDS[command][0]}')


def run(words):
  """Runs a command of the page, made tiny."""
  name, *rest = words
  if name in ('train', 'evaluate'):
    config, workdir = configured([*rest, *_TINY])
    main.run(config, workdir, name)
    return
  rest = [w.replace('50-0676ba61.pth', '.safetensors') for w in rest]
  module_of(name).main(rest)


def test_every_command_is_understood(capsys):
  asked = [name for name, *_ in commands()]
  assert (asked.count('train'), asked.count('evaluate')) == (2, 3)
  for name, *rest in commands():
    if name in ('train', 'evaluate'):
      settings.check(configured(rest)[0], name)
    else:
      module_of(name)._parse(rest)
  assert not capsys.readouterr().err


def test_from_the_downloads_to_a_table(downloads, capsys):
  # Of the trainings and evaluations, which take long, one each.
  once = 'runs/davis17', 'runs/davis16'
  for words in commands():
    name = words[0]
    if name in ('train', 'evaluate'):
      if any(word.endswith(once) for word in words):
        run(words)
    elif name not in ('benchmark', 'paper'):
      run(words)
  assert 'model.pretrained=resnet50.safetensors' in capsys.readouterr().out
  with open('curves.csv', newline='') as file:
    (titles, *_) = csv.reader(file)
  assert 'validation/J' in titles
  results = downloads / 'runs' / 'davis16' / 'results'
  assert (results / 'global_results-val.csv').is_file()


def test_the_commands_keep_the_preset():
  """Without what makes them tiny they are the paper's, to the last field."""
  wanted = davis17.get_config().to_dict()
  (words,) = [w[1:] for w in commands() if '--workdir=runs/davis17' in w]
  config, _ = configured(words)
  settings.check(config, 'train')
  found = config.to_dict()
  changed = {
    f'{group}.{name}'
    for group, fields in found.items()
    if isinstance(fields, dict)
    for name, value in fields.items()
    if value != wanted[group][name]
  }
  assert changed == {
    'data.root', 'data.background_cache', 'data.held_out',
    'model.pretrained', 'train.accumulation',
    'eval.every_steps', 'eval.every_split', 'eval.every_sequences',
  }  # fmt: skip
