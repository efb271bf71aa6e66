"""Makes the golden arrays of the network with PyTorch, which it needs.

  python tests/golden/make_network_arrays.py

It prints how far float32 is from float64 in PyTorch itself: no other float32
program can be expected to be nearer.
"""

from collections.abc import Mapping
import pathlib
import sys

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import network_cases
import network_weights
import torch_savos


def _network(case: network_cases.Case, dtype: torch.dtype) -> torch_savos.Savos:
  """Builds the network of a case with its weights."""
  network = torch_savos.Savos(case.config)
  state = network_weights.torch_state(case.config, case.seed)
  found = network.load_state_dict(
    {name: torch.from_numpy(array) for name, array in state.items()},
    strict=False,
  )
  # A counter of BatchNorm's that matters to training alone.
  missing = [
    name
    for name in found.missing_keys
    if not name.endswith('num_batches_tracked')
  ]
  if missing or found.unexpected_keys:
    raise ValueError(f'missing {missing}, unknown {found.unexpected_keys}')
  return network.to(dtype)


def _tensor(array: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
  """Turns [B, H, W, C] into [B, C, H, W], and [B, H, W] into [B, 1, H, W]."""
  array = array[..., None] if array.ndim == 3 else array
  return torch.from_numpy(np.moveaxis(array, -1, 1).copy()).to(dtype)


def _channels_last(tensor: torch.Tensor) -> np.ndarray:
  return np.moveaxis(tensor.numpy(), 1, -1)


def _inputs(
  case: network_cases.Case, dtype: torch.dtype
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
  """Returns the network's arguments and the truth [B, H, W]."""
  example = network_cases.inputs(case)
  truth = torch.from_numpy(example.pop('truth'))
  return tuple(_tensor(array, dtype) for array in example.values()), truth


def _gradients(case, dtype) -> dict[str, np.ndarray]:
  network = _network(case, dtype)
  arguments, truth = _inputs(case, dtype)
  torch_savos.loss(network(*arguments), truth).backward()
  parameters = dict(network.named_parameters())
  return {
    name: parameters[name].grad.numpy() for name in network_cases.GRADIENTS
  }


def _is_batch_norm(name: str, network: nn.Module) -> bool:
  owner = network.get_submodule(name.rpartition('.')[0])
  return isinstance(owner, nn.BatchNorm2d)


def _sgd(case, dtype) -> dict[str, np.ndarray]:
  network = _network(case, dtype)
  arguments, truth = _inputs(case, dtype)
  kernels, biases = [], []
  for name, parameter in network.named_parameters():
    if not _is_batch_norm(name, network):
      (kernels if parameter.ndim > 1 else biases).append(parameter)
  optimizer = torch.optim.SGD(
    [
      {'params': kernels, 'weight_decay': case.weight_decay},
      {'params': biases, 'weight_decay': 0.0},
    ],
    lr=network_cases.LEARNING_RATE,
    momentum=network_cases.MOMENTUM,
  )
  parameters = dict(network.named_parameters())
  start = {
    name: parameters[name].detach().clone() for name in network_cases.MOVED
  }
  losses = []
  for _ in range(network_cases.STEPS):
    optimizer.zero_grad()
    loss = torch_savos.loss(network(*arguments), truth)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
  moved = {
    name: (parameters[name].detach() - before).numpy()
    for name, before in start.items()
  }
  return {'losses': np.array(losses)} | moved


def evaluate(
  case: network_cases.Case, dtype: torch.dtype = torch.float32
) -> dict[str, np.ndarray]:
  """Computes in PyTorch what the golden arrays hold.

  Args:
    case: any, of `network_cases.CASES` or not.
    dtype: of the computation.

  Returns:
    Arrays by name: stages, sampled; 'logits' [B, H, W, 2]; gradients by
    parameter, in torch's layout; or the 'losses' of the steps, each before its
    update, and by how much parameters moved in all, in torch's layout.
  """
  if case.kind == 'gradients':
    return _gradients(case, dtype)
  if case.kind == 'sgd':
    return _sgd(case, dtype)
  network = _network(case, dtype)
  with torch.no_grad():
    if case.kind == 'stages':
      x = _tensor(network_cases.stage_input(case), dtype)
      stages = network.encoder(x)
      return network_cases.sampled(
        {name: _channels_last(stage) for name, stage in stages.items()}
      )
    arguments, _ = _inputs(case, dtype)
    return {'logits': _channels_last(network(*arguments))}


def _single(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Halves what is stored: floats as float32."""
  return {
    name: array.astype(np.float32) if array.dtype == np.float64 else array
    for name, array in values.items()
  }


def main() -> None:
  """Writes one file a kind and prints the rounding errors."""
  for kind in network_cases.BOUNDS:
    stored = {}
    for case in (c for c in network_cases.CASES if c.kind == kind):
      values = evaluate(case)
      rounding = network_cases.differences(
        kind, values, evaluate(case, torch.float64)
      )
      for name, array in _single(values).items():
        stored[f'values/{case.name}/{name}'] = array
      for difference in rounding:
        stored[f'rounding/{case.name}/{difference.quantity}'] = np.float32(
          difference.error
        )
        print(
          f'{kind}: {case.name}: {difference.quantity}: {difference.error:.1e}'
        )
      state = network_weights.torch_state(case.config, case.seed)
      stored[f'weights/{case.name}/fingerprint'] = np.uint32(
        network_weights.fingerprint(state)
      )
    print(f'{network_cases.save(kind, stored)} bytes')


if __name__ == '__main__':
  main()
