"""The paper's setting on DAVIS 2016: all objects of a sequence are merged.

  python -m savos_jax.main --config=configs/davis16.py \
      --config.data.root=/path/to/DAVIS --workdir=runs/davis16

The paper trains on DAVIS 2017 and evaluates that model here unchanged:
--mode=evaluate with davis17's workdir does the same. Expected: J 80.3, F 79.5
(paper). Not measured here.
"""

from ml_collections import config_dict

from savos_jax.configs import default


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = default.get_config()
  config.data.year = '2016'
  return config
