"""How a video is segmented, apart from the network."""

import dataclasses
import math

# What `aggregation` can do; said here, where no library is needed to read it.
MODES = ('softmax', 'winner_takes_all', 'independent')
BACKGROUNDS = ('product', 'max', 'merged')


@dataclasses.dataclass(frozen=True)
class InferenceConfig:
  """Every choice of inference (SAVOS, section 5).

  Attributes:
    aggregation: how several objects agree, one of `MODES`.
    background: of 'softmax', one of `BACKGROUNDS`; 'merged' costs
      as much as one more object.
    scales: the network sees each frame at these, probabilities are averaged.
    flip: it sees each also mirrored: twice the time.
    short_side: frames are shrunk to it for the network, labels enlarged back;
      pixels, 0 shrinks nothing.
    zoom: the network sees a window around each object, this times as long as
      the object (see `zoom.py`), and `short_side` is the window's; 0: it sees
      the frame, as the paper's does. 2 is good for small objects and for what
      changes its size.
    lost_confidence: with `zoom`, an object that is less sure than this in the
      frame before (see `Tracker.confidences`) is looked for in all of the next
      one, as one without a pixel is; 0: that one alone.
    stray: with `zoom`, at each side of an object this share of its pixels, at
      most, is left out of the box that its window is made for: a speck far
      away makes no window large. 0: none.
    memory_frames: frames besides the reference that a network with a look back
      remembers: the last one, and others between; 0: the reference alone.
    memory_every: of so many frames one is kept between, the oldest goes.
    memory_confidence: a frame in which an object is less sure than this (see
      `Tracker.confidences`) is not remembered of it.
    chunk: objects that are segmented at once; the memory of the rest is saved,
      at little cost in time. 0: all.

  Raises:
    ValueError: a field is out of its range.
  """

  aggregation: str = 'softmax'
  background: str = 'product'
  scales: tuple[float, ...] = (1.0,)
  flip: bool = False
  short_side: int = 0
  zoom: float = 0.0
  lost_confidence: float = 0.0
  stray: float = 0.0
  memory_frames: int = 0
  memory_every: int = 5
  memory_confidence: float = 0.7
  chunk: int = 0

  def __post_init__(self):
    """Refuses what cannot be done."""
    checks = {
      'aggregation': (
        self.aggregation in MODES,
        f'one of {MODES}',
      ),
      'background': (
        self.background in BACKGROUNDS,
        f'one of {BACKGROUNDS}',
      ),
      'scales': (
        len(self.scales) > 0 and all(0 < s <= 4 for s in self.scales),
        'numbers above 0, at most 4',
      ),
      'short_side': (self.short_side >= 0, 'pixels, or 0'),
      'zoom': (
        self.zoom == 0 or 1 <= self.zoom < math.inf,
        'at least 1, or 0 for the frame',
      ),
      'lost_confidence': (
        0 <= self.lost_confidence <= 1,
        'a number from 0 to 1',
      ),
      'stray': (0 <= self.stray <= 0.25, 'a share, at most 0.25'),
      'memory_frames': (0 <= self.memory_frames <= 64, 'frames, at most 64'),
      'memory_every': (self.memory_every >= 1, 'at least 1 frame'),
      'memory_confidence': (
        0 <= self.memory_confidence <= 1,
        'a number from 0 to 1',
      ),
      'chunk': (self.chunk >= 0, 'objects, or 0 for all'),
    }
    for name, (valid, expected) in checks.items():
      if not valid:
        raise ValueError(
          f'{name} is {getattr(self, name)!r}.\n  Expected {expected}.'
        )

  @property
  def merged(self) -> bool:
    """Whether the union of all objects is segmented as well."""
    return self.aggregation == 'softmax' and self.background == 'merged'
