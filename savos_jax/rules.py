"""The allowed values of every field of the configuration: the table `RULES`.

Rules for the fields of dataclasses are defined there; this module has all
others. Rules that relate several fields are in `settings.check`.
"""

from collections.abc import Mapping

from savos_jax import objective
from savos_jax import online
from savos_jax.data import lucid
from savos_jax.data import mask_noise
from savos_jax.data import pipeline
from savos_jax.data import sampling
from savos_jax.data.scenes import config as scenes_config
from savos_jax.datasets import davis
from savos_jax.evaluation import protocol
from savos_jax.foundation import ranges
from savos_jax.inference import options
from savos_jax.models import savos_config

SOURCES = ('davis', 'youtube_vos', 'tfds', 'embedded', 'segtrack')

# Steps are counted in int32; no training is that long.
_MOST_STEPS = 1_000_000_000
_STEPS = ranges.whole(1, _MOST_STEPS, of='steps')
_STEPS_OR_NONE = ranges.whole(0, _MOST_STEPS, of='steps')
_COUNT = ranges.whole(1, 100_000)
_NAMES = ranges.items(ranges.Text())

_DATA: dict[str, ranges.Rule] = {
  'source': ranges.choice(*SOURCES),
  'root': ranges.Text(empty='no folder', none=True),
  'year': ranges.choice(*davis.YEARS),
  'resolution': ranges.Text(name=True),
  'train_split': ranges.Text(empty='photos alone', name=True),
  'val_split': ranges.Text(name=True),
  'held_out': _NAMES,
  'stills': _NAMES,
  'packs': _NAMES,
  'background_cache': ranges.Text(empty='a folder in the --workdir'),
  'loader': ranges.choice(*pipeline.LOADERS),
  'workers': ranges.whole(1, 1024),
  'prefetch': ranges.whole(1, 1024, of='batches'),
  'embedded_size': ranges.items(ranges.whole(32, 4096, of='pixels'), 2),
  'embedded_train_clips': _COUNT,
  'embedded_val_clips': _COUNT,
  'embedded_frames': _COUNT,
}

_TRAIN: dict[str, ranges.Rule] = {
  'steps': _STEPS,
  'seconds': ranges.number(0, 1e9),
  'batch_size': _COUNT,
  'accumulation': _COUNT,
  'optimizer': ranges.choice('sgd', 'adamw'),
  'learning_rate': ranges.number(0, 1e6),
  'momentum': ranges.number(0, 1, below=True),
  'weight_decay': ranges.number(0, 1),
  'schedule': ranges.choice('poly', 'cosine', 'constant', 'cosine_seconds'),
  'poly_power': ranges.number(0, 100, above=True),
  'warmup_steps': _STEPS_OR_NONE,
  'encoder_learning_rate_factor': ranges.number(0, 1000),
  'freeze_batch_norm': ranges.Switch(),
  'clip_norm': ranges.number(0, 1e12),
  'ema_decay': ranges.number(0, 1, below=True),
  'log_every': _STEPS,
  'checkpoint_every': _STEPS,
  'keep_checkpoints': _COUNT,
}

_EVAL: dict[str, ranges.Rule] = {
  'checkpoint': ranges.Text(empty='that of the --workdir'),
  'checkpoint_step': ranges.whole(-1, _MOST_STEPS),
  'use_best': ranges.Switch(),
  'use_ema': ranges.Switch(),
  'videos': ranges.whole(1, 1024),
  'jobs': ranges.whole(
    1, 1024, of='processes', zero='as many as cores and memory allow'
  ),
  'baselines': ranges.items(ranges.choice(*protocol.BASELINES)),
  'strips': ranges.Switch(),
  'report': ranges.Switch(),
  'video': ranges.Switch(),
  'video_fps': ranges.number(0, 1000, above=True),
  'every_steps': _STEPS_OR_NONE,
  'every_split': ranges.Text(empty='config.data.val_split', name=True),
  'every_sequences': _COUNT,
  'every_frames': ranges.whole(protocol.FEWEST_FRAMES, 100_000),
}


def _section(
  prefix: str, rules: Mapping[str, ranges.Rule]
) -> dict[str, ranges.Rule]:
  return {f'config.{prefix}{name}': rule for name, rule in rules.items()}


# A field's name on the command line, such as config.train.steps -> its rule.
RULES: dict[str, ranges.Rule] = {
  'config.seed': ranges.whole(0, 2**31 - 1),
  'config.model.pretrained': ranges.Text(empty='random weights'),
  **_section('model.', ranges.rules_of(savos_config.SavosConfig)),
  **_section('data.', _DATA),
  **_section('sampling.', ranges.rules_of(sampling.SamplingConfig)),
  **_section('sampling.mask_', ranges.rules_of(mask_noise.MaskNoise)),
  'config.scenes.enabled': ranges.Switch(),
  **_section('scenes.', ranges.rules_of(scenes_config.SceneConfig)),
  **_section('lucid.', ranges.rules_of(lucid.LucidConfig)),
  **_section('online.', ranges.rules_of(online.OnlineConfig)),
  **_section('online.mask_', ranges.rules_of(mask_noise.MaskNoise)),
  **_section('online.lucid.', ranges.rules_of(lucid.LucidConfig)),
  **_section('train.', ranges.rules_of(objective.Objective)),
  **_section('train.', _TRAIN),
  **_section('eval.', ranges.rules_of(options.InferenceConfig)),
  **_section('eval.', _EVAL),
}
