"""The embedded clips, and a tiny network to train on them.

  python -m savos_jax.main --config=configs/demo.py --workdir=runs/tiny

The clips are made from scikit-image's photographs, different ones for
validation and training. This shows that the program works end to end; what it
learns is of no use on real video. It takes three and a half minutes on 2 cores.
Expected: J 54.6, F 41.7, against 30.8 and 24.8 for copying the first mask.
`make demo` evaluates the shipped network on the same clips: J 89.6, F 92.4
(measured, 2026-11-28).
"""

from ml_collections import config_dict

from savos_jax.configs import davis16_cpu
from savos_jax.configs import default


def get_config() -> config_dict.ConfigDict:
  """Returns the configuration."""
  config = default.get_config()
  config.data.source = 'embedded'
  config.data.embedded_train_clips = 40

  config.model.block_counts = (2, 2, 2, 2)
  config.model.width_multiplier = 0.25
  config.model.decoder_features = 32

  config.sampling.crop_size = (128, 224)
  config.sampling.max_skip = 12
  # The clips are made of cut-outs already, as lucid dreams are.
  config.sampling.dream_fraction = 0.0
  config.sampling.dream_only_steps = 0
  # The clips move fast, and a few hundred steps must teach the network to
  # correct its own errors.
  config.sampling.mask_shift = 0.15
  config.sampling.mask_scale = (0.85, 1.15)
  config.sampling.mask_spline = 0.1
  config.sampling.mask_dilation = 4
  davis16_cpu.practical_preset(config.train)
  config.train.steps = 450
  config.train.batch_size = 8
  config.train.learning_rate = 1e-3
  config.train.warmup_steps = 20
  config.train.log_every = 20
  config.train.checkpoint_every = 100
  config.eval.video = True
  return config
