"""Settings of online learning: fine-tuning on a video before segmenting it.

SAVOS, section 6.4.1; `training.online` does it.
"""

import dataclasses

from savos_jax.data import lucid_config
from savos_jax.data import mask_noise
from savos_jax.foundation import ranges

PARAMETERS = ('decoder', 'decoder_and_global_convolution', 'all')
OPTIMIZERS = ('adam', 'sgd')
REFERENCES = ('dream', 'frame')

_STEPS = ranges.whole(0, 1_000_000, of='steps')


def _dreams() -> lucid_config.LucidConfig:
  # Poisson blending takes most of a dream's time. A network that only saw
  # dilated masks would erode its own from frame to frame.
  return lucid_config.LucidConfig(merge='feather', mask_dilation=0)


def _noise() -> mask_noise.MaskNoise:
  return mask_noise.MaskNoise(
    shift=0.1, scale=(0.9, 1.1), spline=0.1, dilation=8
  )


@dataclasses.dataclass(frozen=True)
class OnlineConfig:
  """How a network learns the objects of a video.

  Attributes:
    steps: taken at each frame with a given mask: the first frame, and every
      later one with a mark; 0: no online learning.
    seconds: time limit for these steps, each time; 0: no limit. With a limit
      the masks depend on the machine's speed.
    batch_size: lucid dreams per step.
    reference: 'dream': reference and target are dreams of the same frame, as in
      the paper; 'frame': the reference is the frame itself, as in inference.
    clip_frames: frames to segment in a dream, each guided by the prediction for
      the one before, as in a video.
    optimizer: one of `OPTIMIZERS`.
    learning_rate: constant over the steps.
    parameters: which parameters learn, one of `PARAMETERS`; the look back
      counts with the global convolution.
    every: every so many frames, a frame in which every object is confident is
      learnt from as well, replacing the previous such frame (OnAVOS); 0: never.
    every_steps: steps taken there.
    confidence: required of each object there (see `Tracker.confidences`).
    lucid: ranges of the dreams.
    noise: perturbation of the mask before the first of these frames.

  Raises:
    ValueError: a field is out of range.
  """

  steps: int = ranges.field(
    0, _STEPS, 'steps in which the network learns the objects first; slow'
  )
  seconds: float = ranges.field(
    0.0, ranges.number(0, 1e6), 'learns no longer than so many seconds; 0: any'
  )
  batch_size: int = ranges.field(2, ranges.whole(1, 1024))
  reference: str = ranges.field('dream', ranges.choice(*REFERENCES))
  clip_frames: int = ranges.field(1, ranges.whole(1, 100))
  optimizer: str = ranges.field('adam', ranges.choice(*OPTIMIZERS))
  learning_rate: float = ranges.field(1e-4, ranges.number(0, 1e3, above=True))
  parameters: str = ranges.field('all', ranges.choice(*PARAMETERS))
  every: int = ranges.field(
    0,
    ranges.whole(1, 1_000_000, of='frames', zero='never'),
    'fine-tune again every so many frames, if confident; 0: never',
  )
  every_steps: int = ranges.field(5, _STEPS)
  confidence: float = ranges.field(0.9, ranges.SHARE)
  lucid: lucid_config.LucidConfig = dataclasses.field(default_factory=_dreams)
  noise: mask_noise.MaskNoise = dataclasses.field(default_factory=_noise)

  def __post_init__(self):
    """Checks every field against its range."""
    ranges.check_fields(self)


# The best settings on five held-out sequences (docs/benchmarks.md), used when
# online learning is requested without details; the defaults are the paper's.
PRACTICAL = OnlineConfig(
  steps=300,
  reference='frame',
  learning_rate=3e-5,
  parameters='decoder',
)
