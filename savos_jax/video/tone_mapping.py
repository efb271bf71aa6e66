"""Maps wide gamut and high dynamic range colours to BT.709, by a table.

Reproduces on an SDR display what a reference display of the signal's standard
shows: the same brightness up to about 100 nits, with BT.709's white at 203
(ITU-R BT.2408) and highlights up to 1000 rolled off below it (BT.2390).
"""

import pathlib
import tempfile
from typing import Any

import numpy as np

from savos_jax.video import pyav

# Numbers of ISO/IEC 23091-2, as frames tell them.
PQ, HLG = 16, 18
_BT709, _BT2020, _P3 = 1, 9, 12
WIDE = (_BT2020, _P3)  # Primaries.
# x and y of red, green and blue; all have D65 as white.
_PRIMARIES = {
  _BT709: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
  _BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
  _P3: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
}
_D65 = (0.3127, 0.3290)
_WHITE = 203.0  # Nits of SDR's white in HDR; BT.2408.
_PEAK = 1000.0  # Nits that are told apart.
_GAMMA = 2.4  # Of a display of SDR; BT.1886.
_TABLE = 33  # Steps a channel.
_DEEP = 'gbrp12le'  # Enough for 10 bits of PQ.


def _pq(nits: np.ndarray) -> np.ndarray:
  """SMPTE ST 2084: nits to signal, 0..1."""
  power = np.power(np.clip(nits, 0, None) / 10_000, 0.1593017578125)
  return np.power(
    (0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power), 78.84375
  )


def _from_pq(signal: np.ndarray) -> np.ndarray:
  """The other way round."""
  power = np.power(np.clip(signal, 0, 1), 1 / 78.84375)
  ratio = np.clip(power - 0.8359375, 0, None) / (18.8515625 - 18.6875 * power)
  return 10_000 * np.power(ratio, 1 / 0.1593017578125)


def _from_hlg(signal: np.ndarray) -> np.ndarray:
  """ITU-R BT.2100: signal [..., 3] to nits on a display of 1000."""
  a, b, c = 0.17883277, 0.28466892, 0.55991073
  low, high = signal**2 / 3, (np.exp((signal - c) / a) + b) / 12
  scene = np.where(signal <= 0.5, low, high)
  luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
  return _PEAK * scene * (np.clip(luminance, 1e-9, None) ** 0.2)[..., None]


def _rolled_off(nits: np.ndarray) -> np.ndarray:
  """BT.2390's spline, [...]: nits up to the peak become nits up to white."""
  top = _pq(np.array(_PEAK))
  white, x = _pq(np.array(_WHITE)) / top, np.clip(_pq(nits) / top, 0, 1)
  knee = 1.5 * white - 0.5
  t = np.clip((x - knee) / (1 - knee), 0, 1)
  spline = (
    (2 * t**3 - 3 * t**2 + 1) * knee
    + (t**3 - 2 * t**2 + t) * (1 - knee)
    + (3 * t**2 - 2 * t**3) * white
  )
  return _from_pq(np.where(x < knee, x, spline) * top)


def _to_xyz(primaries: int) -> np.ndarray:
  """Returns the matrix from linear RGB to XYZ."""
  x, y = np.array(_PRIMARIES[primaries]).T
  columns = np.stack([x / y, np.ones(3), (1 - x - y) / y])
  white = np.array([_D65[0], _D65[1], 1 - sum(_D65)]) / _D65[1]
  return columns * np.linalg.solve(columns, white)


def to_sdr(signal: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
  """Converts a signal to BT.709.

  Args:
    signal: RGB [..., 3], 0..1.
    transfer: of the frames: `PQ`, `HLG`, or anything else for SDR.
    primaries: of the frames: one of `WIDE`, or anything else for BT.2020 with
      PQ and HLG, otherwise BT.709.

  Returns:
    RGB float64 [..., 3], 0..1.
  """
  high = transfer in (PQ, HLG)
  if primaries not in _PRIMARIES:
    primaries = _BT2020 if high else _BT709
  if transfer == PQ:
    nits = _from_pq(signal)
  elif transfer == HLG:
    nits = _from_hlg(signal)
  else:
    nits = _WHITE * np.power(signal, _GAMMA)
  if high:  # The largest of the three, so that the hue stays.
    largest = np.clip(nits.max(axis=-1, keepdims=True), 1e-9, None)
    nits = nits * (_rolled_off(largest) / largest)
  change = np.linalg.inv(_to_xyz(_BT709)) @ _to_xyz(primaries)
  return np.clip(nits @ change.T / _WHITE, 0, 1) ** (1 / _GAMMA)


def _cube(transfer: int, primaries: int) -> str:
  """Writes the table as FFmpeg reads it: red runs fastest."""
  steps = np.linspace(0, 1, _TABLE)
  blue, green, red = np.meshgrid(steps, steps, steps, indexing='ij')
  signal = np.stack([red, green, blue], axis=-1).reshape(-1, 3)
  rows = (f'{r:.6f} {g:.6f} {b:.6f}' for r, g, b in to_sdr(
    signal, transfer, primaries
  ).tolist())  # fmt: skip
  return '\n'.join((f'LUT_3D_SIZE {_TABLE}', *rows, ''))


class Mapper:
  """Maps the frames of one video, which all have the same size and format."""

  def __init__(self, frame: Any, transfer: int, primaries: int):
    """Makes the table.

    Args:
      frame: the first frame, from PyAV.
      transfer: see `to_sdr`.
      primaries: see `to_sdr`.
    """
    graph = pyav.get().filter.Graph()
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'table.cube'
      path.write_text(_cube(transfer, primaries), 'ascii')
      graph.link_nodes(
        graph.add_buffer(
          width=frame.width,
          height=frame.height,
          format=_DEEP,
          time_base=frame.time_base,
        ),
        graph.add('lut3d', file=str(path)),
        graph.add('format', pix_fmts=_DEEP),
        graph.add('buffersink'),
      )
      graph.configure()
    self._graph = graph

  def map(self, frame: Any, matrix: int) -> Any:
    """Converts a frame of PyAV to BT.709 RGB, with more than 8 bits.

    Args:
      frame: of PyAV.
      matrix: of the frame, from RGB to YUV.
    """
    deep = frame.reformat(format=_DEEP, src_colorspace=matrix, threads=1)
    self._graph.push(deep)
    return self._graph.pull()
