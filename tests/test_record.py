"""How a network was trained is written down, and stays so."""

import json
import logging

from savos_jax.configs import smoke
from savos_jax.training import record


def files_in(folder):
  return sorted(path.name for path in folder.iterdir())


def test_the_same_configuration_again_changes_nothing(tmp_path, caplog):
  caplog.set_level(logging.INFO)
  config = smoke.get_config()
  record.keep(config, tmp_path, 0)
  content = (tmp_path / 'config.json').read_text()
  assert json.loads(content)['train']['steps'] == config.train.steps
  record.keep(config, tmp_path, 4)
  assert files_in(tmp_path) == ['config.json']
  assert (tmp_path / 'config.json').read_text() == content
  assert 'changed' not in caplog.text


def test_what_is_changed_is_told_and_the_earlier_record_kept(tmp_path, caplog):
  caplog.set_level(logging.INFO)
  config = smoke.get_config()
  record.keep(config, tmp_path, 0)
  before = (tmp_path / 'config.json').read_text()
  seed, config.seed = config.seed, 31
  config.train.learning_rate = 0.5
  record.keep(config, tmp_path, 4)
  assert f'changed since step 4: seed {seed} -> 31' in caplog.text
  assert 'changed since step 4: train.learning_rate' in caplog.text
  assert caplog.text.count('changed since') == 2
  assert (tmp_path / 'config.until_step_4.json').read_text() == before
  config.seed = 32
  record.keep(config, tmp_path, 4)
  assert files_in(tmp_path) == [
    'config.json',
    'config.until_step_4.json',
    'config.until_step_4_2.json',
  ]
  assert json.loads((tmp_path / 'config.json').read_text())['seed'] == 32


def test_what_cannot_be_read_is_kept(tmp_path):
  (tmp_path / 'config.json').write_text('{cut o')
  record.keep(smoke.get_config(), tmp_path, 0)
  kept = tmp_path / 'config.until_step_0.json'
  assert kept.read_text() == '{cut o'
