r"""SegTrack v2, each object alone: the model of DAVIS 2017, unchanged.

  python -m savos_jax.main --config=configs/segtrack.py --mode=evaluate \
      --config.data.root=/path/to/SegTrackv2 --workdir=runs/segtrack \
      --config.eval.checkpoint=runs/davis17

eval.checkpoint may be the folder of any training or a file of
tools.export_checkpoint. The first frame is not scored and void pixels are
ignored; the means over the 24 objects and over the 14 sequences are reported.
There are 976 frames, smaller than those of DAVIS. Expected: J 70.5 (paper). Not
measured here.
"""

from ml_collections import config_dict

from savos_jax.configs import default


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = default.get_config()
  config.data.source = 'segtrack'
  # There is nothing to train on: the set has no other part.
  config.data.train_split = ''
  config.data.val_split = 'all'
  return config
