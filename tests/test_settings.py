"""From the configuration to what the code works with, mistakes included."""

import logging

import numpy as np
import pytest

from savos_jax import online
from savos_jax import opening
from savos_jax import settings
from savos_jax.configs import davis16_cpu
from savos_jax.configs import default
from savos_jax.configs import demo
from savos_jax.configs import rivals_ablation
from savos_jax.configs import smoke
from savos_jax.configs.rivals_ablation import ROWS
from savos_jax.data import examples
from savos_jax.data import lucid
from savos_jax.data import sampling
from savos_jax.data.scenes import config as scenes_config
from savos_jax.datasets import pack
from savos_jax.foundation import errors
from savos_jax.inference import options
from savos_jax.models import savos_config
from tests import sampling_videos


def test_the_default_is_that_of_the_code():
  config = default.get_config()
  assert settings.lucid_config(config) == lucid.LucidConfig()
  assert settings.sampling_config(config) == sampling.SamplingConfig()
  assert settings.inference_config(config) == options.InferenceConfig()
  assert settings.online_config(config) == online.OnlineConfig()
  assert settings.model_config(config) == savos_config.SavosConfig()
  assert settings.scene_config(config) == scenes_config.SceneConfig(
    config.sampling.crop_size, config.sampling.clip_frames
  )


def test_fields_reach_the_sampler():
  config = default.get_config()
  config.sampling.max_gap = 3
  config.sampling.mask_scale = (0.5, 2.0)
  config.sampling.mask_dilation = 9
  config.lucid.mask_dilation = 11
  config.lucid.scale = (0.7, 0.8)
  found = settings.sampling_config(config)
  assert found.max_gap == 3
  assert found.noise.scale == (0.5, 2.0)
  assert found.noise.dilation == 9
  assert found.lucid.mask_dilation == 11
  assert found.lucid.scale == (0.7, 0.8)


def test_who_dreams_how_much():
  shares = {
    module: (
      module.get_config().sampling.dream_fraction,
      module.get_config().sampling.dream_only_steps,
      module.get_config().lucid.merge,
    )
    for module in (default, davis16_cpu, demo, smoke)
  }
  assert shares == {
    default: (0.5, 20_000, 'poisson'),
    davis16_cpu: (0.35, 0, 'feather'),
    demo: (0.0, 0, 'poisson'),
    smoke: (0.5, 0, 'poisson'),
  }


@pytest.fixture
def config(tmp_path, davis_folder):
  """Two videos of four frames, and two photos of other sizes."""
  photos = tmp_path / 'photos'
  for number in (0, 3):
    sampling_videos.save_photo(photos, f'p{number}', number)
  config = smoke.get_config()
  config.data.source = 'davis'
  config.data.root = str(davis_folder())
  config.data.stills = (str(photos),)
  config.sampling.stills_fraction = 0.5
  return config


def test_sampler_draws_clips_and_dreams_of_videos_and_photos(
  config, tmp_path, caplog
):
  with caplog.at_level(logging.INFO):
    sampler = opening.make_sampler(config, tmp_path)
  assert '2 sequences, 8 frames, and on 2 photos' in caplog.text
  found = [sampler.describe(index) for index in range(30)]
  kinds = {(type(d), d.sequence.name.startswith('photos/')) for d in found}
  assert kinds == {
    (examples.Clip, False),
    (examples.DreamSource, False),
    (examples.DreamSource, True),
  }
  assert sampler.example(0)['frames'].shape == (2, 64, 96, 3)


def test_a_training_reads_packs_in_place_of_folders(config, tmp_path):
  videos, photos = opening._training_data(config, tmp_path)
  path = tmp_path / 'a.pack'
  pack.write(path, [*videos, *photos], (480, 640), 'jpeg', 95)
  from_folders = opening.make_sampler(config, tmp_path)
  config.data.packs = (str(path),)
  config.data.root, config.data.stills = None, ()
  from_pack = opening.make_sampler(config, tmp_path)
  for index in range(6):
    one, other = from_folders.describe(index), from_pack.describe(index)
    assert (type(one), one.sequence.name) == (type(other), other.sequence.name)
    np.testing.assert_array_equal(
      from_folders.example(index)['masks'], from_pack.example(index)['masks']
    )


def test_examples_of_a_step_are_the_batch(config, tmp_path):
  config.sampling.dream_fraction = 0.0
  config.sampling.dream_only_steps = 3
  config.train.batch_size = 2
  sampler = opening.make_sampler(config, tmp_path)
  kinds = [type(sampler.describe(index)) for index in range(8)]
  assert kinds == [examples.DreamSource] * 6 + [examples.Clip] * 2


@pytest.mark.parametrize('given', [False, True])
def test_backgrounds_are_kept_where_the_configuration_says(
  config, tmp_path, given
):
  folder = tmp_path / ('mine' if given else 'work/backgrounds')
  config.data.background_cache = str(folder) if given else ''
  sampler = opening.make_sampler(config, tmp_path / 'work')
  sampler.prepare_backgrounds(1)
  # One object in each frame of the videos; two or three in the photos.
  assert len(list(folder.glob('*/*.background'))) == 8 + 3 + 4


def test_photos_alone(config, tmp_path):
  config.data.train_split = ''
  with pytest.raises(errors.SavosError, match='dream_fraction=1'):
    opening.make_sampler(config, tmp_path)
  config.sampling.dream_fraction = 1.0
  sampler = opening.make_sampler(config, tmp_path)
  names = {sampler.describe(index).sequence.name for index in range(12)}
  assert names == {'photos/p0', 'photos/p3'}


def test_photos_without_dreams_are_remarked_upon(config, tmp_path, caplog):
  config.sampling.dream_fraction = 0.0
  sampler = opening.make_sampler(config, tmp_path)
  assert 'config.data.stills are not used' in caplog.text
  sampler.prepare_backgrounds(1)
  assert not (tmp_path / 'backgrounds').exists()


def test_absent_photos_are_named(config, tmp_path):
  config.data.stills = (str(tmp_path / 'nowhere'),)
  with pytest.raises(errors.SavosError, match='nowhere'):
    opening.make_sampler(config, tmp_path)


def held_out_config(davis_folder, held_out):
  config = default.get_config()
  config.data.root = str(davis_folder(splits={'train': 3, 'val': 1}))
  config.data.held_out = held_out
  return config


def test_held_out_sequences_are_a_split_of_their_own(davis_folder, tmp_path):
  config = held_out_config(davis_folder, ('train1',))

  def names(split):
    videos = opening.load_split(config, tmp_path, split)
    return [video.name for video in videos]

  assert names('train') == ['train0', 'train2']
  assert names('held_out') == ['train1']
  assert names('val') == ['val0']
  config.data.held_out = ()
  assert names('train') == ['train0', 'train1', 'train2']


def test_held_out_mistakes_are_named(davis_folder, tmp_path):
  config = held_out_config(davis_folder, ('val0', 'train1'))
  with pytest.raises(errors.SavosError, match='names val0'):
    opening.load_split(config, tmp_path, 'held_out')


def test_rows_of_the_ablation_add_one_thing_each_at_one_budget():
  configs = {row: rivals_ablation.get_config(row) for row in ROWS}
  for config in configs.values():
    scene = settings.scene_config(config)
    masks = config.train.batch_size * scene.objects * scene.frames
    assert masks == pytest.approx(64, abs=3)
  looks_back = [row for row in ROWS if configs[row].model.matching]
  assert looks_back == ['look_back', 'recurrence']
  with_rivals = [r for r in ROWS if configs[r].scenes.rival_probability > 0]
  assert with_rivals == list(ROWS[2:])
  # The paper's network differs from the last row in nothing else.
  configs['paper'].model.matching = True
  assert configs['paper'].to_dict() == configs['recurrence'].to_dict()
  with pytest.raises(ValueError, match='expected one of'):
    rivals_ablation.get_config('nonsense')
