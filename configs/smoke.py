"""Everything once, in seconds: for tests. The scores mean nothing.

python -m savos_jax.main --config=configs/smoke.py --workdir=runs/smoke
"""

from ml_collections import config_dict

from savos_jax.configs import demo


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = demo.get_config()
  config.data.embedded_size = (64, 96)
  config.data.embedded_train_clips = 3
  config.data.embedded_val_clips = 2
  config.data.embedded_frames = 5

  config.model.block_counts = (1, 1, 1, 1)
  config.model.width_multiplier = 0.0625
  config.model.decoder_features = 8

  config.sampling.crop_size = (64, 96)
  config.sampling.clip_frames = 2
  config.sampling.dream_fraction = 0.5
  config.train.steps = 4
  config.train.batch_size = 2
  config.train.warmup_steps = 1
  config.train.log_every = 2
  config.train.checkpoint_every = 2
  return config
