"""The folder for a model hub: whole, its links work, nothing is replaced."""

import hashlib
import importlib.util
import json
import pathlib
import re

import pytest
import yaml

from savos_jax import checkpoints
from savos_jax import network
from savos_jax.foundation import errors

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope='module')
def program():
  path = ROOT / 'launch' / 'hub_folder.py'
  spec = importlib.util.spec_from_file_location('hub_folder', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture(scope='module')
def folder(program, tmp_path_factory):
  out = tmp_path_factory.mktemp('hub') / 'savos'
  program.main([f'--out={out}'])
  return out


def test_the_network_works_from_there(folder):
  trained = network.load(folder / 'savos.safetensors')
  assert trained.step == network.load(checkpoints.DEFAULT).step
  config = json.loads((folder / 'config.json').read_text())
  assert (
    config['architecture']['width_multiplier']
    == trained.model.config.width_multiplier
  )
  digest = hashlib.sha256((folder / 'savos.safetensors').read_bytes())
  assert digest.hexdigest() in (folder / 'README.md').read_text()


def test_every_link_of_the_card_is_an_address_or_is_there(folder):
  card = (folder / 'README.md').read_text()
  links = re.findall(r'\]\(([^)]+)\)', card)
  local = [link for link in links if '://' not in link]
  assert local
  for link in local:
    assert any((folder / link).iterdir())


def test_the_front_matter_has_the_scores_of_the_table():
  path = checkpoints.find(checkpoints.DEFAULT).with_name('README.md')
  _, front, card = path.read_text().split('---\n', 2)
  told = yaml.safe_load(front)
  (result,) = told['model-index'][0]['results']
  found = [metric['value'] for metric in result['metrics']]
  row = re.search(r'^\| mean \|(.*)\|$', card, re.MULTILINE)[1].split('|')
  j_mean, _, _, f_mean, _, _, both = map(float, row)
  assert found == [j_mean, f_mean, both]
  assert told['license'] == 'apache-2.0'


def test_it_is_made_again_and_what_is_not_its_own_is_kept(
  program, tmp_path, monkeypatch, capsys
):
  made = {'README.md': b'a', 'old/curve.csv': b'1'}
  monkeypatch.setattr(program, 'contents', lambda path: iter(made.items()))
  program.main([f'--out={tmp_path}'])
  made = {'README.md': b'b'}
  program.main([f'--out={tmp_path}'])
  assert (tmp_path / 'README.md').read_bytes() == b'b'
  assert not (tmp_path / 'old' / 'curve.csv').exists()
  (tmp_path / 'README.md').write_text('notes')
  with pytest.raises(SystemExit) as stopped:
    program.main([f'--out={tmp_path}'])
  assert stopped.value.code == 2
  assert 'README.md' in capsys.readouterr().err
  assert (tmp_path / 'README.md').read_text() == 'notes'


def test_a_link_that_leads_nowhere_is_named(program, tmp_path):
  with pytest.raises(errors.SavosError, match=r'links to \.\./gone\.md'):
    program.portable('see [it](../gone.md#part)', tmp_path)
