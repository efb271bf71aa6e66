"""The network that is shipped, second stage: it follows its own predictions.

From the weights of configs/shipped.py (--config.model.pretrained). Clips of
three frames, each guided by the prediction for the one before, references from
anywhere in the video, and more lost previous masks.
"""

from ml_collections import config_dict

from configs import shipped


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = shipped.get_config()
  config.sampling.clip_frames = 3
  config.sampling.max_skip = 80
  config.sampling.max_gap = 3
  config.sampling.mask_drop_probability = 0.06
  config.train.steps = 300
  config.train.warmup_steps = 30
  config.train.learning_rate = 1.5e-4
  config.train.ema_decay = 0.98
  return config
