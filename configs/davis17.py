"""The paper's setting: full width, DAVIS 2017, SGD with momentum 0.5.

  python -m savos_jax.main --config=configs/davis17.py \
      --config.data.root=/path/to/DAVIS --workdir=runs/davis17

Trains on the 60 training sequences, evaluates on the 30 of val, each object on
its own. Meant for an accelerator; docs/how-to/paper-preset.md has every
command, for one of 11 GB. Expected: J 62.1, F 63.5 (paper, with ImageNet
weights and lucid dreaming). Not measured here.
"""

from ml_collections import config_dict

from savos_jax.configs import default


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = default.get_config()
  config.data.year = '2017'
  return config
