"""How a video is segmented, apart from the network."""

import dataclasses

from savos_jax.foundation import ranges

# Modes of `aggregation`; listed here so that reading them needs no library.
MODES = ('softmax', 'winner_takes_all', 'independent')
BACKGROUNDS = ('product', 'max', 'merged')

# Ranges of the dense CRF's kernel parameters.
_DEVIATION = ranges.number(0.01, 10_000)
_WEIGHT = ranges.number(0, 10_000)


@dataclasses.dataclass(frozen=True)
class InferenceConfig:
  """All inference settings (SAVOS, section 5).

  Attributes:
    aggregation: how the predictions of several objects are reconciled, one of
      `MODES`.
    background: how 'softmax' models the background, one of `BACKGROUNDS`;
      'merged' costs as much as one more object.
    scales: the network sees each frame at these scales, and the probabilities
      are averaged.
    flip: also averages over the mirrored frame, at twice the time.
    short_side: frames whose shorter side exceeds this are shrunk to it for the
      network, and labels enlarged back; pixels, 0 disables shrinking.
    zoom: the network sees a window around each object, this many times the
      object's size (see `zoom.py`), and `short_side` applies to the window; 0:
      the whole frame, as in the paper. 2 suits small objects and objects that
      change in size.
    lost_confidence: with `zoom`, an object whose confidence in the previous
      frame (see `Tracker.confidences`) is below this is searched for in the
      whole frame, like one without any pixels; 0: only the latter.
    stray: with `zoom`, the largest share of an object's pixels that may be cut
      off at each side of its bounding box, so that a distant speck does not
      enlarge the window. 0: none.
    focus: the decoder's fine stages only see a box around each object, this
      many times its size (see `focus.py`): faster, above all for small objects;
      0: the whole view, as in the paper. Used on CPUs; accelerators always
      decode the whole view.
    lost_every: interval in frames at which an object without any pixels, lost
      or out of sight, is searched for; 1: every frame. It saves time with ONNX
      Runtime; JAX, which computes all objects at once, searches every frame.
    memory_frames: frames that a network with a look back remembers besides the
      reference: the previous frame, and others in between; 0: the reference
      alone.
    memory_every: interval in frames at which those in between are stored; the
      oldest is replaced.
    memory_confidence: an object does not remember frames in which its
      confidence (see `Tracker.confidences`) is below this.
    chunk: number of objects segmented at once; fewer save memory at little cost
      in time. 0: all.
    crf: refines labels with a dense CRF at the frame's own size (see
      `dense_crf.py`); the next frame is still guided by the network's
      prediction.
    crf_iterations: number of mean-field iterations.
    crf_gaussian_sxy: standard deviation of the Gaussian kernel, pixels.
    crf_gaussian_weight: weight of the Gaussian kernel.
    crf_bilateral_sxy: spatial standard deviation of the bilateral kernel,
      pixels.
    crf_bilateral_srgb: colour standard deviation of the bilateral kernel, in
      levels of 0..255.
    crf_bilateral_weight: weight of the bilateral kernel.

  Raises:
    ValueError: a field is out of range.
  """

  aggregation: str = ranges.field(
    'softmax',
    ranges.choice(*MODES),
    'how the masks of several objects are combined',
  )
  background: str = ranges.field(
    'product',
    ranges.choice(*BACKGROUNDS),
    'background probability of the softmax aggregation',
  )
  scales: tuple[float, ...] = ranges.field(
    (1.0,),
    ranges.items(ranges.number(0, 4, above=True), least=1),
    'segment each frame at these scales and average: 0.5 0.75 1',
  )
  flip: bool = ranges.field(
    False, ranges.Switch(), 'average over the mirrored frame as well'
  )
  short_side: int = ranges.field(
    0,
    ranges.whole(1, 16384, of='pixels', zero='no shrinking'),
    'longest shorter side of frames (or, with a zoom, windows) in the network; '
    'larger ones are shrunk and their masks enlarged again; 0: never',
  )
  zoom: float = ranges.field(
    0.0,
    ranges.number(1, 100, zero='the frame'),
    'show the network a window around each object, this many times its size, '
    'in place of the frame: better for small objects; 0: the frame',
  )
  lost_confidence: float = ranges.field(0.0, ranges.SHARE)
  stray: float = ranges.field(0.0, ranges.number(0, 0.25))
  focus: float = ranges.field(
    0.0,
    ranges.number(1, 100, zero='the whole view'),
    'decode fine details only in a box around each object, this many times '
    'its size: faster; 0: everywhere',
  )
  lost_every: int = ranges.field(
    1,
    ranges.whole(1, 10_000),
    'interval in frames at which an object that is lost or out of sight is '
    'searched for, with ONNX Runtime: larger ones save time',
  )
  memory_frames: int = ranges.field(0, ranges.whole(0, 64))
  memory_every: int = ranges.field(5, ranges.whole(1, 10_000))
  memory_confidence: float = ranges.field(0.7, ranges.SHARE)
  chunk: int = ranges.field(
    0,
    ranges.whole(1, 255, of='objects', zero='all'),
    'number of objects segmented at once, to save memory; 0: all',
  )
  # The defaults are the values published with OnAVOS and PReMVOS.
  crf: bool = ranges.field(
    False,
    ranges.Switch(),
    'refine masks along image edges with a dense CRF; slow',
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
    """Checks every field against its range."""
    ranges.check_fields(self)

  @property
  def merged(self) -> bool:
    """Whether the union of all objects is segmented as well."""
    return self.aggregation == 'softmax' and self.background == 'merged'
