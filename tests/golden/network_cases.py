"""What the network's golden arrays are made of, on both sides of the parity.

Networks and inputs come from here, weights from `network_weights`, and nothing
from elsewhere: no torch, no download. The PyTorch side is
`make_network_arrays`, the Flax side `parity_table`; each has an `evaluate`
that returns the same quantities.
"""

from collections.abc import Mapping
import dataclasses
import pathlib
import zlib

import numpy as np

from savos_jax.models import savos_config

FOLDER = pathlib.Path(__file__).resolve().parent
# What `evaluate` of a case returns, and the relative error that may be.
BOUNDS = {'stages': 1e-5, 'logits': 1e-4, 'gradients': 1e-3, 'sgd': 1e-3}
LOSSES_BOUND = 1e-4
STAGES = ('stem', 'res2', 'res3', 'res4', 'res5')
SAMPLES = 400  # Values that are kept of each stage.

LEARNING_RATE = 0.02
MOMENTUM = 0.5
STEPS = 10
# Small ones, in every part of the network, by their names in torch.
GRADIENTS = (
  'encoder.conv1.weight',
  'encoder.layer1.1.conv2.weight',
  'encoder.layer2.0.downsample.0.weight',
  'global_convolution.left_kx1.weight',
  'global_convolution.right_1xk.weight',
  'decoder.attention_res4.channel_gate.hidden.weight',
  'decoder.attention_res4.channel_gate.out.weight',
  'decoder.attention_res3.spatial_gate.conv.weight',
  'decoder.attention_res2.refine.conv2.weight',
  'decoder.predict.weight',
  'decoder.predict.bias',
)
MOVED = (
  'encoder.conv1.weight',
  'global_convolution.left_kx1.weight',
  'decoder.attention_res2.refine.conv2.bias',
  'decoder.predict.weight',
)

_HALF = savos_config.SavosConfig(
  width_multiplier=0.5,
  stem_features=64,
  stride_variant='v1',
  stem_pool_padding=(0, 1),
)
_NARROW = savos_config.SavosConfig(
  block_counts=(1, 1, 1, 1),
  width_multiplier=0.125,
  decoder_features=16,
  # With the paper's 16 one hidden channel is left, and a ReLU may switch it
  # off.
  attention_reduction=4,
)


@dataclasses.dataclass(frozen=True)
class Case:
  """A network with an input, and what of it is compared.

  Attributes:
    kind: 'stages', 'logits', 'gradients' or 'sgd'.
    name: tells the cases of a kind apart.
    config: the architecture.
    size: height and width of the input.
    batch: examples in the input.
    seed: of weights and input.
    weight_decay: of kernels; only 'sgd'.
  """

  kind: str
  name: str
  config: savos_config.SavosConfig
  size: tuple[int, int]
  batch: int = 1
  seed: int = 0
  weight_decay: float = 0.0


def _narrow(**changes) -> savos_config.SavosConfig:
  return dataclasses.replace(_NARROW, **changes)


# Of 128x128, so that res5 is large enough for all of a 7x7 kernel. With this
# seed the loss falls without jumps, that would magnify rounding.
_SMOOTH = 9
_TRAINED = _narrow(block_counts=(2, 1, 1, 1))
CASES = (
  Case('stages', 'ResNet-50', savos_config.SavosConfig(), (64, 96)),
  Case('stages', 'half-width ResNet-50, v1', _HALF, (64, 96)),
  Case(
    'stages',
    'narrow, v1',
    _narrow(stride_variant='v1', stem_pool_padding=(0, 1)),
    (64, 96),
  ),
  Case('logits', 'full', savos_config.SavosConfig(), (64, 96)),
  Case('logits', 'full, odd size', savos_config.SavosConfig(), (75, 93)),
  Case('logits', 'narrow', _NARROW, (40, 56), batch=2),
  Case('logits', 'no attention', _narrow(attention=False), (40, 56), batch=2),
  Case(
    'logits', 'no residual', _narrow(attention_residual=False), (40, 56),
    batch=2,
  ),
  Case('gradients', 'narrow', _TRAINED, (128, 128), seed=_SMOOTH),
  Case('sgd', 'plain', _TRAINED, (128, 128), seed=_SMOOTH),
  Case(
    'sgd', 'weight decay', _TRAINED, (128, 128), seed=_SMOOTH,
    weight_decay=1e-3,
  ),
)  # fmt: skip


def case_of(kind: str, name: str) -> Case:
  """Returns the one of `CASES`."""
  return next(c for c in CASES if (c.kind, c.name) == (kind, name))


def inputs(case: Case) -> dict[str, np.ndarray]:
  """Draws the input of a case: smooth frames, a disc that has moved.

  Returns:
    The arguments of `savos.SAVOS.__call__` by name, and 'truth', float32
    [B, H, W] of 0 and 1.
  """
  rng = np.random.default_rng([case.seed, 1])
  height, width = case.size
  grid = np.mgrid[:height, :width] / np.reshape(case.size, (2, 1, 1))

  def frame() -> np.ndarray:
    waves = rng.uniform(-5, 5, (case.batch, 3, 6, 2))
    phases = rng.uniform(0, 2 * np.pi, (case.batch, 3, 6, 1, 1))
    angles = 2 * np.pi * np.tensordot(waves, grid, 1) + phases
    return 0.5 + 0.5 * np.moveaxis(np.sin(angles).mean(2), 1, -1)

  def inside() -> np.ndarray:
    centres = rng.uniform(0.3, 0.7, (case.batch, 2, 1, 1))
    return 0.3 - np.sqrt(((grid - centres) ** 2).sum(axis=1))

  drawn = {
    'reference_frame': frame(),
    'reference_mask': inside() > 0,
    'frame': frame(),
    # Probabilities: a soft edge.
    'guidance': 1 / (1 + np.exp(-20 * inside())),
    'truth': inside() > 0,
  }
  return {name: array.astype(np.float32) for name, array in drawn.items()}


def stage_input(case: Case) -> np.ndarray:
  """Returns what the encoder alone is given, float32 [B, H, W, 4]."""
  example = inputs(case)
  mask = example['reference_mask'][..., None]
  return np.concatenate([4 * example['reference_frame'] - 2, mask], axis=-1)


def sampled(stages: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Boils stages [B, H, W, C] down to shape, norm and some values of each."""
  kept = {}
  for name in STAGES:
    array = np.asarray(stages[name])
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    kept[name] = array.ravel()[rng.integers(0, array.size, SAMPLES)]
    kept[f'{name} norm'] = np.linalg.norm(array.ravel().astype(np.float64))
    kept[f'{name} shape'] = np.array(array.shape)
  return kept


@dataclasses.dataclass(frozen=True)
class Difference:
  """How far a quantity is from where it should be, relative to its size."""

  quantity: str
  error: float
  bound: float


def _relative(found: np.ndarray, wanted: np.ndarray, kind: str) -> float:
  found, wanted = np.float64(found), np.float64(wanted)
  if found.shape != wanted.shape:
    return np.inf
  size = np.max if kind in ('logits', 'losses') else np.linalg.norm
  return float(
    size(np.abs(found - wanted).ravel()) / size(np.abs(wanted).ravel())
  )


def differences(
  kind: str,
  found: Mapping[str, np.ndarray],
  wanted: Mapping[str, np.ndarray],
) -> list[Difference]:
  """Compares what two `evaluate` returned for a case of this kind.

  Logits and losses by the largest difference over the largest magnitude,
  everything else by Euclidean norms.
  """
  if set(found) != set(wanted):
    raise ValueError(f'{sorted(found)} are not {sorted(wanted)}')
  return [
    Difference(
      name,
      _relative(found[name], array, 'losses' if name == 'losses' else kind),
      LOSSES_BOUND if name == 'losses' else BOUNDS[kind],
    )
    for name, array in wanted.items()
  ]


def _file(kind: str) -> pathlib.Path:
  return FOLDER / f'network_{kind}.npz'


def save(kind: str, arrays: Mapping[str, np.ndarray]) -> int:
  """Writes the file of a kind; returns its size in bytes."""
  np.savez_compressed(_file(kind), **arrays)
  return _file(kind).stat().st_size


def load(case: Case, part: str = 'values') -> dict[str, np.ndarray]:
  """Reads what is stored of a case.

  Args:
    case: one of `CASES`.
    part: 'values', as `evaluate` returns them; 'rounding', their relative
      errors as torch's own float32 makes them, against its float64; or
      'weights', the only entry 'fingerprint'.
  """
  prefix = f'{part}/{case.name}/'
  with np.load(_file(case.kind)) as arrays:
    return {
      name.removeprefix(prefix): arrays[name]
      for name in arrays.files
      if name.startswith(prefix)
    }
