"""Attributes of DAVIS: the files in use, and scores by attribute."""

import json

import numpy as np
import pytest

from savos_jax import opening
from savos_jax.configs import default
from savos_jax.evaluation import attributes
from savos_jax.evaluation import protocol
from savos_jax.evaluation import tables
from savos_jax.foundation import errors

_YAML = """\
attributes: [AC, OCC, MB]
sets: [train, val]
sequences:
  - attributes: [AC, OCC]
    eval_t: true
    name: bear
    num_frames: 82
    set: train
    year: 2016
  - name: camel
    attributes: []
  - name: dog
    attributes: [OCC]
"""
_READ = {'bear': ('AC', 'OCC'), 'camel': (), 'dog': ('OCC',)}


@pytest.mark.parametrize(
  'place',
  ['Annotations/db_info.yml', 'db_info.yaml', 'ImageSets/2016/db_info.yml'],
)
def test_the_file_is_found_and_read(tmp_path, place):
  assert attributes.read(tmp_path) == {}
  path = tmp_path / place
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(_YAML)
  assert attributes.read(tmp_path) == _READ


def test_json_with_names_as_keys(tmp_path):
  content = {'sequences': {'bear': {'attributes': 'AC, OCC'}, 'camel': {}}}
  (tmp_path / 'db_info.json').write_text(json.dumps(content))
  assert attributes.read(tmp_path) == {'bear': ('AC', 'OCC'), 'camel': ()}


@pytest.mark.parametrize(
  ('text', 'found'),
  [
    ('sequences: [', 'unreadable'),
    ('[' * 10**4, 'unreadable'),
    ('attributes: [AC]', 'no list of sequences'),
    ('sequences:\n  - attributes: [AC]', 'an entry without a name'),
    ('sequences:\n  - {name: bear, attributes: 3}', 'attributes of bear: 3'),
    ('sequences: [&a {attributes: [*a, *a]}]', 'an entry without a name'),
    (
      'a: &a [x, x]\nsequences: [{name: b, attributes: [*a]}]',
      'attributes of b',
    ),
    ('sequences: !!python/object/apply:os.getcwd []', 'unreadable'),
  ],
)
def test_malformed_files_are_named(tmp_path, text, found):
  path = tmp_path / 'db_info.yml'
  path.write_text(text)
  with pytest.raises(errors.SavosError) as caught:
    attributes.read(tmp_path)
  assert str(caught.value).startswith(f'{path}: {found}')
  config = default.get_config()
  config.data.root = str(tmp_path)
  with pytest.raises(errors.SavosError, match=r'db_info\.yml'):
    opening.sequence_attributes(config)


def _score(name, sequence, value):
  return protocol.ObjectScore(
    name, np.full(3, value), np.full(3, value / 2), sequence
  )


def test_scores_by_attribute():
  scores = protocol.Scores(
    (
      _score('bear_1', 'bear', 0.9),
      _score('bear_2', 'bear', 0.6),
      _score('camel_1', 'camel', 0.2),
      _score('dog_1', 'dog', 0.3),
      _score('unlisted_1', 'unlisted', 0.4),
    ),
    'davis2017',
  )
  found = tables.to_json_dict(scores, _READ)['attributes']
  assert list(found) == ['AC', 'OCC']
  assert found['AC']['sequences'] == ['bear']
  assert found['AC']['J']['mean'] == pytest.approx(0.75)
  assert found['OCC']['sequences'] == ['bear', 'dog']
  assert found['OCC']['J']['mean'] == pytest.approx(0.6)  # Over objects.
  assert found['OCC']['J']['recall'] == pytest.approx(2 / 3)
  assert found['OCC']['J&F'] == pytest.approx(0.45)
  assert found['OCC']['without']['J']['mean'] == pytest.approx(0.3)
  everywhere = tables.to_json_dict(
    scores, {name: ('FM',) for name in scores.by_sequence}
  )
  assert everywhere['attributes']['FM']['without']['J']['mean'] is None
  assert 'attributes' not in tables.to_json_dict(scores)
