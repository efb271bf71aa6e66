"""The network that tells objects apart; launch/gpu/train.sh runs both stages.

  python -m savos_jax.main --config=configs/rivals.py:held_out ...
  python -m savos_jax.main --config=configs/rivals.py ...

Half width with a look back, trained on scenes with rivals: three frames on its
own predictions, two objects joined by Eq. 5. 'held_out' starts from the network
of configs/shipped.py and leaves out the five sequences by which everything was
chosen; 'all' goes on from its result with all sequences. bfloat16, for a GPU.
"""

from ml_collections import config_dict

from configs import shipped


def get_config(stage: str = 'all') -> config_dict.ConfigDict:
  """Returns the configuration of a stage, 'held_out' or 'all'."""
  config = shipped.get_config(stage)
  config.model.matching = True
  config.model.compute_dtype = 'bfloat16'
  config.scenes.enabled = True
  config.sampling.clip_frames = 3
  config.train.batch_size = 32
  config.train.weight_decay = 1e-3
  config.train.encoder_learning_rate_factor = 0.5
  config.train.clip_norm = 1.0
  config.train.freeze_batch_norm = False
  config.train.log_every = 20
  config.train.checkpoint_every = 400
  config.train.ema_decay = 0.995
  # As many steps as the time allows; launch/gpu/train.sh sets it.
  config.train.schedule = 'cosine_seconds'
  config.train.seconds = 240.0
  config.train.steps = 1_000_000
  config.train.learning_rate = 5e-4
  config.train.warmup_steps = 100
  return config
