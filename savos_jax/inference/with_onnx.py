"""Runs an exported network with ONNX Runtime, without JAX.

The network consists of the two functions of `exporting.functions`. Windows,
aggregation (Eq. 5) and labelling are computed with NumPy, where `compiled.py`
uses JAX.
"""

from collections.abc import Collection
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import os
import pathlib
from typing import Any

import cv2
import numpy as np

from savos_jax.foundation import cores
from savos_jax.foundation import errors
from savos_jax.foundation import json_files
from savos_jax.foundation import onnx_runtime
from savos_jax.inference import aggregation
from savos_jax.inference import focus as focus_lib
from savos_jax.inference import geometry as geometry_lib
from savos_jax.inference import options
from savos_jax.inference import resampling
from savos_jax.inference import runtime
from savos_jax.inference import zoom

FORMAT = 'savos_jax.onnx'
DESCRIPTION = 'savos.json'
FUNCTIONS = ('reference', 'step')
_ADVICE = (
  'Expected a folder that savos_jax.tools.export --format=onnx wrote, whole: '
  'export the network again.'
)
_STATE = ('share', 'keys', 'values')  # Names of a reference's arrays.
_CELLS = ('rows', 'columns')  # Names of the inputs that all objects share.


@dataclasses.dataclass(frozen=True)
class Exported:
  """Description of an exported network, read from its folder.

  Attributes:
    folder: the folder of the exported network.
    checksum: checksum of the network's parameters.
    evaluated: the settings it was evaluated with, fields of
      `options.InferenceConfig`.
    mean: colour that frames are padded with, RGB in [0, 1].
    size: height and width of the network's input; None: any.
    objects: number of objects per call; None: any.
    step: training step of the parameters.
    averaged: whether the parameters are averaged over training.
  """

  folder: pathlib.Path
  checksum: str
  evaluated: dict[str, Any]
  mean: tuple[float, ...]
  size: tuple[int, int] | None
  objects: int | None
  step: int
  averaged: bool


def is_exported(path: str | os.PathLike) -> bool:
  """Returns whether the path is the folder of an exported network."""
  return (pathlib.Path(path) / DESCRIPTION).is_file()


def read(folder: str | os.PathLike) -> Exported:
  """Reads the description of an exported network.

  Raises:
    SavosError: the folder does not exist, is damaged or holds something else.
  """
  path = pathlib.Path(folder) / DESCRIPTION
  if not path.is_file():
    raise errors.SavosError(f'{path}: no such file.\n  {_ADVICE}')
  told = json_files.read(path, _ADVICE, {})
  try:
    if told['format'] != FORMAT:
      raise ValueError(f'format {told["format"]!r}')
    count, *size = told['functions']['step']['inputs']['guidance']['shape']
    fixed = all(isinstance(side, int) for side in size)
    red, green, blue = (float(value) for value in told['frame']['mean'])
    return Exported(
      path.parent,
      str(told['checksum']),
      dict(told['inference']),
      (red, green, blue),
      (size[0], size[1]) if fixed else None,
      count if isinstance(count, int) else None,
      int(told['step']),
      bool(told['averaged']),
    )
  except (KeyError, TypeError, ValueError, IndexError) as error:
    raise errors.SavosError(
      f'{path}: is not understood: {error}.\n  {_ADVICE}'
    ) from None


class Onnx(runtime.Runtime):
  """Runs an exported network; see `runtime.Runtime`."""

  def __init__(self, exported: Exported):
    """Loads the graphs and their weights.

    Raises:
      SavosError: ONNX Runtime is not installed, or a file is damaged.
    """
    self.exported = exported
    self._library = onnx_runtime.require('onnx', 'this runtime')
    self._reference = self._session('reference')

  def __reduce__(self):
    """Pickles only the description; unpickling loads the graphs again."""
    return Onnx, (self.exported,)

  @functools.cached_property
  def _step(self) -> Any:
    return self._session('step')

  def _session(self, name: str) -> Any:
    library = self._library
    path = self.exported.folder / f'{name}.onnx'
    if not path.is_file():
      raise errors.SavosError(f'{path}: no such file.\n  {_ADVICE}')
    try:
      return library.InferenceSession(
        path, self.session_options(), providers=['CPUExecutionProvider']
      )
    except Exception as error:  # ONNX Runtime raises many types.
      raise _refused(path, 'loaded', error) from None

  def session_options(self) -> Any:
    """Returns the options of a session, ONNX Runtime's `SessionOptions`."""
    wanted = self._library.SessionOptions()
    wanted.log_severity_level = 3  # Errors only; they are reported elsewhere.
    # By itself it takes all cores of the machine, and binds threads to them.
    wanted.intra_op_num_threads = cores.limit()
    return wanted

  @property
  def key(self) -> Hashable:
    """The network's folder, which identifies the runtime."""
    return self.exported.folder

  @property
  def compiles(self) -> bool:
    """Always False: the exported graphs need no compilation."""
    return False

  def check(self, config: options.InferenceConfig) -> None:
    """Refuses several views and memory, which exported networks lack."""
    plain = options.InferenceConfig()
    for name in ('scales', 'flip', 'memory_frames'):
      found, expected = getattr(config, name), getattr(plain, name)
      if found != expected:
        raise errors.SavosError(
          f'{name} is {found}, which an exported network cannot do.\n'
          f'  Expected {expected}; or run it by JAX (--runtime=jax).'
        )

  # --- What the network sees. ------------------------------------------------

  def _boxes(self, masks, geometry, windows) -> np.ndarray | None:
    if windows is None:
      return None
    return zoom.windows(masks, np.asarray(geometry.size), windows)

  def _seen(
    self, frame: np.ndarray, masks: np.ndarray, geometry, boxes
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns frames [K, h, w, 3] in [0, 1] and masks [K, h, w]."""
    if boxes is None:
      height, width = geometry.size
      shown = frame.astype(np.float32) / np.float32(255)
      shown[height:], shown[:, width:] = self.exported.mean, self.exported.mean
      masks = masks.copy()
      masks[:, height:], masks[:, :, width:] = 0, 0
      return np.repeat(shown[None], len(masks), axis=0), masks
    view = geometry.views[0]
    look = functools.partial(
      resampling.into_window, height=view.height, width=view.width
    )
    frames = np.stack([look(frame, box) for box in boxes]) / np.float32(255)
    pairs = zip(masks, boxes, strict=True)
    return frames, np.stack([look(mask, box) for mask, box in pairs])

  def _check_size(self, masks: np.ndarray) -> None:
    """Refuses masks of another size than the network was exported for."""
    size = masks.shape[1:]
    if self.exported.size not in (None, size):
      expected = 'x'.join(map(str, self.exported.size))
      raise errors.SavosError(
        f'{self.exported.folder}: this network sees {expected} pixels (height '
        f'x width), and is shown {size[0]}x{size[1]}.\n  Expected a video of '
        'these proportions; or export it with --size=any.'
      )

  def encode(
    self,
    params: Any,
    frame: np.ndarray,
    masks: Any,
    geometry: geometry_lib.Geometry,
  ) -> tuple[Any, Any]:
    """See `runtime.Runtime.encode`."""
    masks = np.asarray(masks, np.float32)
    windows = geometry.windows
    if windows:
      # A given mask locates the object, however low its probabilities are.
      windows = dataclasses.replace(windows, lost_confidence=0.0)
    boxes = self._boxes(masks, geometry, windows)
    frames, seen = self._seen(frame, masks, geometry, boxes)
    self._check_size(seen)
    found = self.call('reference', {'frame': frames, 'mask': seen})
    state = tuple(found[name] for name in _STATE if name in found)
    return (state,), masks

  def call(
    self, name: str, inputs: Mapping[str, np.ndarray]
  ) -> dict[str, np.ndarray]:
    """Calls an exported function on all objects, as many per call as fit.

    Args:
      name: one of `FUNCTIONS`.
      inputs: the function's inputs, described in `exporting.functions`.

    Returns:
      The function's outputs by name.
    """
    session = self._reference if name == 'reference' else self._step
    names = [output.name for output in session.get_outputs()]
    shared = {key: inputs[key] for key in _CELLS if key in inputs}
    own = {key: inputs[key] for key in inputs.keys() - shared}
    count = len(next(iter(own.values())))
    at_once = self.exported.objects or count
    parts = []
    for first in range(0, count, at_once):
      # The last batch overlaps the one before, so that it is full.
      begin = max(0, min(first, count - at_once))
      rows = {key: _rows(x, begin, at_once) for key, x in own.items()}
      try:
        found = session.run(names, rows | shared)
      except Exception as error:
        path = self.exported.folder / f'{name}.onnx'
        raise _refused(path, 'run', error) from None
      left = slice(first - begin, min(at_once, count - begin))
      parts.append([array[left] for array in found])
    columns = zip(*parts, strict=True)
    return dict(zip(names, map(np.concatenate, columns), strict=True))

  def compile(
    self,
    params: Any,
    objects: int,
    geometry: geometry_lib.Geometry,
    finishing: runtime.Finishing,
    *,
    union: bool = False,
    memory_frames: int = 0,
    chunk: int = 0,
  ) -> None:
    """Loads the graph of a step."""
    _ = self._step

  def empty_memory(self, references: Any, frames: int) -> runtime.Memory | None:
    """Returns None: `check` refuses configurations with memory."""
    return None

  # --- A frame. --------------------------------------------------------------

  def step(
    self,
    params: Any,
    inputs: runtime.Inputs,
    geometry: geometry_lib.Geometry,
    finishing: runtime.Finishing,
    chunk: int = 0,
    skipped: Collection[int] = (),
  ) -> runtime.Outputs:
    """See `runtime.Runtime.step`."""
    (state,) = inputs.references
    guidance, merged = inputs.guidance, None
    if len(state[0]) > len(guidance):
      guidance = np.concatenate([guidance, aggregation.union(guidance)])
    boxes = self._boxes(guidance, geometry, geometry.windows)
    own = np.zeros(guidance.shape, np.float32)
    focus = finishing.focus if self._focuses else 0.0
    at_once = 1 if focus else chunk or len(guidance)
    own[[*skipped]] = guidance[[*skipped]]
    sought = [k for k in range(len(guidance)) if k not in skipped]
    for first in range(0, len(sought), at_once):
      rows = sought[first : first + at_once]
      part = None if boxes is None else boxes[rows]
      frames, seen = self._seen(inputs.frame, guidance[rows], geometry, part)
      self._check_size(seen)
      names = zip(_STATE, state, strict=False)
      given = {name: array[rows] for name, array in names}
      found = self._found({'frame': frames, 'guidance': seen, **given}, focus)
      if part is None:
        own[rows] = found
      else:
        for mask, box, k in zip(found, part, rows, strict=True):
          resampling.out_of_window(mask, box, own[k])
    if finishing.mode == 'softmax' and finishing.background == 'merged':
      own, merged = own[:-1], own[-1]
    agreed = aggregation.aggregate(
      own, finishing.mode, finishing.background, merged
    )
    labels = self.label(agreed, finishing.mode, finishing.labels_size)
    sure = self.confidence(agreed, inputs.size)
    return runtime.Outputs(agreed, labels, sure, None)

  @property
  def _focuses(self) -> bool:
    """Whether a part of a view can be decoded, one object at a time."""
    return self._takes_cells and self.exported.objects in (None, 1)

  @functools.cached_property
  def _takes_cells(self) -> bool:
    names = {taken.name for taken in self._step.get_inputs()}
    return names.issuperset(_CELLS)

  def _found(self, inputs: dict[str, np.ndarray], focus: float) -> np.ndarray:
    """Returns probabilities [K, h, w]; with a focus, of a single object."""
    shape = inputs['guidance'].shape[1:]
    if not self._takes_cells:
      return self.call('step', inputs)['probability']
    cells = [side // focus_lib.STRIDE for side in shape]
    if focus:
      box = focus_lib.boxes(inputs['guidance'], focus)
      sides = np.minimum(box.side[0], cells).astype(int).tolist()
      begin = [
        int(focus_lib.first(*each))
        for each in zip(box.middle[0], sides, cells, strict=True)
      ]
      (part,) = self._part(inputs, begin, sides)
      corner = [focus_lib.STRIDE * first for first in begin]
      if not focus_lib.leaves(part, corner, shape):
        return focus_lib.placed(part, corner, shape)[None]
    return self._part(inputs, [0, 0], cells)

  def _part(self, inputs, begin: list[int], sides: list[int]) -> np.ndarray:
    """Returns the probabilities in some cells, [K, h, w]."""
    rows, columns = (
      np.arange(first, first + side, dtype=np.int32)
      for first, side in zip(begin, sides, strict=True)
    )
    cells = {'rows': rows, 'columns': columns}
    return self.call('step', inputs | cells)['probability']

  def step_videos(
    self,
    params: Any,
    videos: Sequence[runtime.Inputs],
    geometry: geometry_lib.Geometry,
    finishing: runtime.Finishing,
  ) -> list[runtime.Outputs]:
    """Steps the videos one by one: a single frame keeps all cores busy."""
    return [self.step(params, one, geometry, finishing) for one in videos]

  def placed(self, arrays: Any, references: Any) -> Any:
    """See `runtime.Runtime.placed`."""
    return arrays

  def cropped(self, guidance: Any, size: tuple[int, int]) -> Any:
    """See `runtime.Runtime.cropped`."""
    height, width = size
    return guidance[:, :height, :width]

  def label(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """See `runtime.Runtime.label`."""
    return aggregation.labels(_enlarged(guidance, labels_size), mode)

  def classes(
    self, guidance: Any, mode: str, labels_size: tuple[int, int] | None
  ) -> Any:
    """See `runtime.Runtime.classes`."""
    objects = _enlarged(guidance, labels_size)
    return np.concatenate([aggregation.behind(objects, mode)[None], objects])

  def confidence(self, guidance: Any, size: np.ndarray) -> Any:
    """See `runtime.Runtime.confidence`."""
    return aggregation.confidence(guidance, size)


def _refused(
  path: pathlib.Path, what: str, error: Exception
) -> errors.SavosError:
  """Turns an ONNX Runtime error about a file into a SavosError."""
  reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
  return errors.SavosError(f'{path}: cannot be {what}: {reason}.\n  {_ADVICE}')


def _rows(array: np.ndarray, begin: int, count: int) -> np.ndarray:
  """Returns `count` rows from `begin`, repeating the last to fill up."""
  rows = array[begin : begin + count]
  missing = count - len(rows)
  return np.concatenate([rows, *[rows[-1:]] * missing]) if missing else rows


def _enlarged(
  guidance: np.ndarray, labels_size: tuple[int, int] | None
) -> np.ndarray:
  """Enlarges [K, H, W] to `labels_size`; None leaves it unchanged."""
  if labels_size is None:
    return guidance
  height, width = labels_size
  return np.stack([cv2.resize(one, (width, height)) for one in guidance])
