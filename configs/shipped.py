"""The shipped network, which can tell objects apart.

  SECONDS_A_STAGE=460 launch/gpu/train.sh OUT PACK...

Half width with a look back, trained on scenes with rivals: three frames on its
own predictions, two objects joined by Eq. 5. It starts from the network of
configs/pairs.py. 'held_out' leaves out five sequences, 'all' uses all.
launch/gpu/train.sh trains in bfloat16 on one GPU for a given time. Expected on
10 of the 20 sequences of DAVIS 2016 val, in float32: J 80.6, F 86.5 (measured,
2026-11-28; savos_jax/checkpoints/README.md has more).
"""

from ml_collections import config_dict

from savos_jax.configs import pairs


def get_config(stage: str = 'all') -> config_dict.ConfigDict:
  """Returns the configuration of a stage, 'held_out' or 'all'.

  Raises:
    ValueError: there is no such stage.
  """
  config = pairs.get_config(stage)
  config.model.matching = True
  config.scenes.enabled = True
  config.sampling.clip_frames = 3
  config.train.batch_size = 32
  config.eval.focus = 1.25
  config.train.weight_decay = 1e-3
  config.train.encoder_learning_rate_factor = 0.5
  config.train.clip_norm = 1.0
  config.train.freeze_batch_norm = False
  config.train.log_every = 20
  config.train.checkpoint_every = 400
  config.train.ema_decay = 0.995
  # As many steps as the time allows; launch/gpu/train.sh sets it.
  config.train.schedule = 'cosine_seconds'
  config.train.seconds = 460.0
  config.train.steps = 1_000_000
  config.train.learning_rate = 5e-4
  config.train.warmup_steps = 100
  return config
