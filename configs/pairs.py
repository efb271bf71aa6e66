"""Half width on pairs of frames; launch/train_pairs.sh runs both stages.

  python -m savos_jax.main --config=configs/pairs.py:held_out ...
  python -m savos_jax.main --config=configs/pairs.py ...

'held_out' starts from open_nsfw's weights, leaves out five sequences and is
scored on them. 'all' continues from its result with all sequences. Half width,
256x448 crops, batches of 4, 2400 and 1800 steps: three hours on 2 quiet cores
(2.3 s a step). A third of the examples are lucid dreams, of DAVIS' frames and
of photos, the others pairs of frames. Expected on 10 of the 20 sequences of
DAVIS 2016 val: J 75.6, F 81.2 (measured, 2026-11-23). configs/shipped.py
continues from its result.
"""

from ml_collections import config_dict

from savos_jax.configs import davis16_cpu

_HELD_OUT = (
  'dance-jump',
  'drift-turn',
  'horsejump-low',
  'motocross-bumps',
  'rhino',
)


def get_config(stage: str = 'all') -> config_dict.ConfigDict:
  """Returns the configuration of a stage, 'held_out' or 'all'."""
  if stage not in ('held_out', 'all'):
    raise ValueError(f"configs/pairs.py:{stage}: expected 'held_out' or 'all'.")
  config = davis16_cpu.get_config()
  config.sampling.max_skip = 30
  config.sampling.zoom_range = (1.0, 2.0)  # Small objects, seen large.
  config.sampling.stills_fraction = 0.4
  config.train.warmup_steps = 100
  config.train.encoder_learning_rate_factor = 0.5
  config.train.ema_decay = 0.995
  config.eval.zoom = 2.0
  if stage == 'held_out':
    config.data.held_out = _HELD_OUT
    config.data.val_split = 'held_out'
    config.train.steps = 2400
    config.train.learning_rate = 4e-4
  else:
    config.seed = 1
    config.train.steps = 1800
    config.train.learning_rate = 2.5e-4
  return config
