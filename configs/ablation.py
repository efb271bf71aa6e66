"""The paper's ablation (Table 3) on the budget of a laptop.

launch/ablation.sh runs its three rows with two seeds each. This file is the
last row, "+ attention"; "+ lucid dream" adds --config.model.attention=False,
and "basic" also --config.sampling.dream_fraction=0. There is no other
difference: steps, learning rates and sequences are the same and, for a given
seed, so are the initial weights of common parameters. Each row and seed takes
ten minutes on 2 cores.
Expected on 10 of the 20 sequences of DAVIS 2016 val, means of two seeds: basic
J 52.2 and F 48.5, "+ lucid dream" 50.5 and 44.8, "+ attention" 52.2 and 47.5
(measured, 2026-11-23).
"""

from ml_collections import config_dict

from savos_jax.configs import davis16_cpu


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = davis16_cpu.get_config()
  config.sampling.crop_size = (192, 320)
  config.train.steps = 300
  config.eval.short_side = 192
  return config
