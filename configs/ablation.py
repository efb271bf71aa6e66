"""The paper's ablation (Table 3) at a budget for a laptop.

launch/ablation.sh runs its three rows with two seeds each. This is the last,
"+ attention"; "+ lucid dream" takes --config.model.attention=False besides, and
"basic" --config.sampling.dream_fraction=0 as well. The three differ in nothing
else: same steps, rates, sequences, and for one seed the same initial weights
where they have the same parameters. Ten minutes a row and seed on 2 cores.
Expected on 10 of the 20 sequences of DAVIS 2016 val, means of the two seeds:
basic J 52.2 and F 48.5, "+ lucid dream" 50.5 and 44.8, "+ attention" 52.2 and
47.5 (measured, 2026-11-23).
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
