"""The network that is shipped.

launch/train_shipped.sh runs it. Half width, 256x448 crops, from
open_nsfw's weights; 2400 steps of 4 examples, an hour and a half on 2 quiet
cores (2.3 s a step). A third of the examples are lucid dreams, of DAVIS'
frames and of photos, the others pairs of frames.
savos_jax/checkpoints/README.md has the scores.
"""

from ml_collections import config_dict

from configs import davis16_cpu


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = davis16_cpu.get_config()
  config.sampling.max_skip = 30
  config.sampling.zoom_range = (1.0, 2.0)  # Small objects, seen large.
  config.sampling.stills_fraction = 0.4
  config.train.steps = 2400
  config.train.warmup_steps = 100
  config.train.learning_rate = 4e-4
  config.train.encoder_learning_rate_factor = 0.5
  config.train.ema_decay = 0.995
  return config
