"""The paper's ablation (Table 3) at a budget for a laptop.

launch/ablation.sh runs its three rows with two seeds each. This is the last,
"+ attention"; "+ lucid dream" takes --config.model.attention=False besides, and
"basic" --config.sampling.dream_fraction=0 as well. The three differ in nothing
else: same steps, rates, sequences, and for one seed the same initial weights
where they have the same parameters.
"""

from ml_collections import config_dict

from configs import davis16_cpu


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = davis16_cpu.get_config()
  config.sampling.crop_size = (192, 320)
  config.train.steps = 300
  config.eval.short_side = 192
  return config
