"""DAVIS 2016 on a laptop: half width, 256x448 crops, the practical preset.

  python -m savos_jax.main --config=configs/davis16_cpu.py \
      --config.data.root=/path/to/DAVIS --workdir=runs/davis16_cpu

AdamW with warm-up, cosine decay, clipping and averaged weights; a third of the
examples are lucid dreams. On 2 cores their backgrounds take four minutes (once)
and training takes half an hour (3.6 s a step). Expected on 10 of the 20
sequences of DAVIS 2016 val (measured, 2026-11-23, trained on frames of
640x360): from random weights J 41.0 and F 33.9; with --config.model.pretrained
and the half-width ResNet-50 of docs/how-to/weights.md J 55.9 and F 55.4.
Copying the first mask gives 25.0 and 22.4 there.
"""

from ml_collections import config_dict

from savos_jax.configs import default


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = default.get_config()
  config.data.year = '2016'

  config.model.width_multiplier = 0.5
  config.model.decoder_features = 128

  config.sampling.crop_size = (256, 448)
  # Rougher previous masks than the default: few steps must teach the network
  # to correct its own errors.
  config.sampling.mask_shift = 0.1
  config.sampling.mask_scale = (0.9, 1.1)
  config.sampling.mask_spline = 0.1
  config.sampling.mask_dilation = 8
  # Few steps: clips from the first, and the fast way to merge.
  config.sampling.dream_fraction = 0.35
  config.sampling.dream_only_steps = 0
  config.lucid.merge = 'feather'
  practical_preset(config.train)
  config.train.steps = 450
  config.train.learning_rate = 5e-4
  config.train.warmup_steps = 50
  config.train.log_every = 10
  config.train.checkpoint_every = 50
  config.eval.short_side = 256  # As trained; it's also 3.5 times as fast.
  return config


def practical_preset(train: config_dict.ConfigDict) -> None:
  """Sets an optimiser that trains from scratch within hours."""
  train.optimizer = 'adamw'
  train.schedule = 'cosine'
  train.weight_decay = 1e-4
  train.clip_norm = 1.0
  train.ema_decay = 0.99
  train.loss_reduction = 'mean'
  train.soft_iou_weight = 0.5
