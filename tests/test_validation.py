"""Which videos are scored while a network trains, and when."""

import pytest

from savos_jax import opening
from savos_jax import settings
from savos_jax import validation
from savos_jax.configs import smoke
from savos_jax.foundation import errors
from savos_jax.models import savos


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('clips')
  opening.load_split(smoke.get_config(), workdir, 'train')
  return workdir / 'embedded'


@pytest.fixture
def config(clips):
  config = smoke.get_config()
  config.data.root = str(clips)
  config.train.steps = 10
  config.eval.every_steps = 4
  return config


def open_validator(config, workdir):
  model = savos.SAVOS(settings.model_config(config))
  return validation.Validator(config, workdir, model)


@pytest.mark.parametrize(
  ('every', 'expected'), [(0, []), (4, [4, 8, 10]), (5, [5, 10]), (99, [10])]
)
def test_every_so_many_steps_and_after_the_last(
  config, tmp_path, every, expected
):
  config.eval.every_steps = every
  validator = open_validator(config, tmp_path)
  assert [s for s in range(1, 11) if validator.due(s)] == expected


def test_the_first_frames_of_the_first_sequences(config, tmp_path):
  config.eval.every_split = 'train'
  config.eval.every_sequences = 2
  config.eval.every_frames = 4
  every = opening.load_split(config, tmp_path, 'train')
  assert (len(every), len(every[0])) == (3, 5)
  found = open_validator(config, tmp_path)._videos
  assert [video.name for video in found] == [v.name for v in every[:2]]
  for video, whole in zip(found, every, strict=False):
    assert video.frames == whole.frames[:4]
    assert video.masks == whole.masks[:4]


def test_videos_without_a_scored_frame_are_refused_at_the_start(
  config, tmp_path
):
  config.data.embedded_frames = 2
  config.data.root = ''
  with pytest.raises(errors.SavosError, match='no frame to score'):
    open_validator(config, tmp_path)
