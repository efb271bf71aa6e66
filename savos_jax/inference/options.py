"""How a video is segmented, apart from the network."""

import dataclasses

from savos_jax.foundation import ranges

# What `aggregation` can do; said here, where no library is needed to read it.
MODES = ('softmax', 'winner_takes_all', 'independent')
BACKGROUNDS = ('product', 'max', 'merged')

# Of a kernel of the dense CRF.
_DEVIATION = ranges.number(0.01, 10_000)
_WEIGHT = ranges.number(0, 10_000)


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
    crf: labels are refined by a dense CRF, at the frame's own size (see
      `dense_crf.py`); what guides the next frame stays the network's.
    crf_iterations: of its mean field.
    crf_gaussian_sxy: standard deviation of the Gaussian kernel, pixels.
    crf_gaussian_weight: of the Gaussian kernel.
    crf_bilateral_sxy: standard deviation in place of the bilateral kernel,
      pixels.
    crf_bilateral_srgb: in colour, grey levels of 255.
    crf_bilateral_weight: of the bilateral kernel.

  Raises:
    ValueError: a field is out of its range.
  """

  aggregation: str = ranges.field(
    'softmax',
    ranges.choice(*MODES),
    'how several objects agree',
  )
  background: str = ranges.field(
    'product',
    ranges.choice(*BACKGROUNDS),
    'of the aggregation by softmax',
  )
  scales: tuple[float, ...] = ranges.field(
    (1.0,),
    ranges.items(ranges.number(0, 4, above=True), least=1),
    'sizes at which the network sees each frame, averaged: 0.5 0.75 1',
  )
  flip: bool = ranges.field(
    False, ranges.Switch(), 'averages the mirror image, too'
  )
  short_side: int = ranges.field(
    0,
    ranges.whole(1, 16384, of='pixels', zero='no shrinking'),
    'frames, or with a zoom windows, whose shorter side is longer are shrunk '
    'to it for the network, masks enlarged back; 0 never shrinks',
  )
  zoom: float = ranges.field(
    0.0,
    ranges.number(1, 100, zero='the frame'),
    'the network sees a window around each object, this times its size, in '
    'place of the frame: better for small objects; 0: the frame',
  )
  lost_confidence: float = ranges.field(0.0, ranges.SHARE)
  stray: float = ranges.field(0.0, ranges.number(0, 0.25))
  memory_frames: int = ranges.field(0, ranges.whole(0, 64))
  memory_every: int = ranges.field(5, ranges.whole(1, 10_000))
  memory_confidence: float = ranges.field(0.7, ranges.SHARE)
  chunk: int = ranges.field(
    0,
    ranges.whole(1, 255, of='objects', zero='all'),
    'objects at once, to save memory; 0: all',
  )
  # The defaults are those published with OnAVOS and PReMVOS.
  crf: bool = ranges.field(
    False,
    ranges.Switch(),
    "refines the masks along the picture's edges by a dense CRF; slow",
  )
  crf_iterations: int = ranges.field(
    12, ranges.whole(1, 1000), "of the CRF's mean field"
  )
  crf_gaussian_sxy: float = ranges.field(
    0.2209, _DEVIATION, 'width of its Gaussian kernel, pixels'
  )
  crf_gaussian_weight: float = ranges.field(
    1.2484, _WEIGHT, 'of its Gaussian kernel'
  )
  crf_bilateral_sxy: float = ranges.field(
    22.376, _DEVIATION, 'width of its bilateral kernel, pixels'
  )
  crf_bilateral_srgb: float = ranges.field(
    7.7025, _DEVIATION, 'and in colour, grey levels of 255'
  )
  crf_bilateral_weight: float = ranges.field(
    1.4033, _WEIGHT, 'of its bilateral kernel'
  )

  def __post_init__(self):
    """Refuses what cannot be done."""
    ranges.check_fields(self)

  @property
  def merged(self) -> bool:
    """Whether the union of all objects is segmented as well."""
    return self.aggregation == 'softmax' and self.background == 'merged'
