"""The contribution of each part of configs/shipped.py, on one budget.

  python -m savos_jax.main --config=configs/rivals_ablation.py:look_back ...

launch/gpu/ablation.sh trains all rows and scores them. Each row adds to the
previous one: 'plain' has pairs of frames and three folders of photos, with
nothing pasted in; 'photos' adds all photos; 'rivals' pasted objects; 'joint'
two objects with one loss; 'look_back' the look back; 'recurrence' three frames
on its own predictions. 'paper' is the last row without the look back: the
paper's network, with everything else unchanged.

The budget: 700 steps with 64 predicted masks each, from open_nsfw's weights,
without the five held-out sequences.
"""

from ml_collections import config_dict

from savos_jax.configs import shipped

ROWS = (
  'plain',
  'photos',
  'rivals',
  'joint',
  'look_back',
  'recurrence',
  'paper',
)
_MASKS = 64  # A step.


def get_config(row: str = 'recurrence') -> config_dict.ConfigDict:
  """Returns the configuration of a row.

  Raises:
    ValueError: there is no such row.
  """
  if row not in ROWS:
    raise ValueError(
      f'configs/rivals_ablation.py:{row}: expected one of {ROWS}.'
    )
  config = shipped.get_config('held_out')
  # 'paper' has whatever the row before it has, but for the look back.
  number = min(ROWS.index(row), ROWS.index('recurrence'))
  if number < ROWS.index('rivals'):
    config.scenes.rival_probability = 0.0
  config.scenes.objects = 2 if number >= ROWS.index('joint') else 1
  config.model.matching = number >= ROWS.index('look_back') and row != 'paper'
  config.sampling.clip_frames = 3 if number == ROWS.index('recurrence') else 1
  predicted = config.scenes.objects * config.sampling.clip_frames
  config.train.batch_size = round(_MASKS / predicted)
  config.train.schedule = 'cosine'
  config.train.seconds = 0.0
  config.train.steps = 700
  config.train.checkpoint_every = 700
  return config
