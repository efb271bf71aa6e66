r"""Seconds a training step, here and by the same network in PyTorch.

  python tests/golden/torch_training_speed.py --width_multiplier 0.5 \
      --decoder_features 128 --size 256x448 --batch_size 4

Both take one step each in turn, so that whatever else the machine does slows
both, on the same random frames: cross entropy and soft IoU of one frame,
gradients clipped at a norm of 1, AdamW, averaged weights, float32. PyTorch runs
the independent definition in `torch_savos.py` with its weights in channels-last
order (--contiguous: not), eagerly and with --compile by torch.compile as well.
Prints one line of JSON.
"""

import argparse
from collections.abc import Callable
import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np
import torch
import torch_savos
import turns

from savos_jax import objective
from savos_jax.foundation import allocation
from savos_jax.models import savos_config
from savos_jax.tools.benchmark import common
from savos_jax.tools.benchmark import output
from savos_jax.tools.benchmark import training
from savos_jax.tools.benchmark.flags import shared
from savos_jax.training import sharding

_EMA_DECAY = 0.99


def _soft_iou_loss(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
  p = torch.softmax(logits, 1)[:, 1]
  intersection = (p * mask).sum((1, 2))
  union = (p + mask - p * mask).sum((1, 2))
  return (1 - (intersection + 1) / (union + 1)).mean()


def torch_stepping(
  config: savos_config.SavosConfig,
  case: training.Case,
  layout: torch.memory_format,
  device: str = 'cpu',
  compiled: bool = False,
) -> Callable[[], None]:
  """Returns what takes a step with PyTorch, and waits for it.

  Args:
    config: the architecture.
    case: size, batch and dtype of the step; bfloat16 is autocast's.
    layout: of weights and frames.
    device: PyTorch's name of it.
    compiled: forward and loss by torch.compile.
  """
  network = torch_savos.Savos(config).to(device, memory_format=layout)
  params = list(network.parameters())
  average = [param.detach().clone() for param in params]
  optimizer = torch.optim.AdamW(params, lr=1e-4, weight_decay=1e-4)
  batch = training.random_batch(case)
  cast = torch.autocast(
    device, torch.bfloat16, enabled=case.compute_dtype == 'bfloat16'
  )

  def tensor(array):
    return torch.from_numpy(array).to(device)

  def frames(name, index):
    array = tensor(batch[name][index]).permute(0, 3, 1, 2)
    return (array.float() / 255).contiguous(memory_format=layout)

  reference = frames('reference_frame', np.s_[:])
  frame = frames('frames', np.s_[:, 0])
  reference_mask = tensor(batch['reference_mask'])[:, None].float()
  guidance = tensor(batch['guidance'])[:, None].float() / 255
  truth = tensor(batch['masks'][:, 0]).float()

  def loss_of():
    logits = network(reference, reference_mask, frame, guidance).float()
    return torch_savos.loss(logits, truth) + 0.5 * _soft_iou_loss(logits, truth)

  if compiled:
    loss_of = torch.compile(loss_of)

  def once():
    optimizer.zero_grad()
    with cast:
      loss = loss_of()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    optimizer.step()
    with torch.no_grad():
      torch._foreach_lerp_(average, params, 1 - _EMA_DECAY)
    if device == 'cuda':
      torch.cuda.synchronize()

  return once


def _parse() -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
    '--size',
    type=shared.size,
    default=shared.size('256x448'),
    metavar='HxW',
    help='height and width of the frames, pixels',
  )
  for name, default in (('batch_size', 4), ('steps', 7)):
    parser.add_argument(f'--{name}', type=shared.positive, default=default)
  parser.add_argument(
    '--contiguous', action='store_true', help='PyTorch with channels first'
  )
  parser.add_argument(
    '--compile', action='store_true', help='PyTorch by torch.compile, too'
  )
  turns.add_argument(parser)
  shared.add_architecture_arguments(parser)
  return parser.parse_args()


def main() -> None:
  """Measures and prints."""
  allocation.keep()
  arguments = _parse()
  clock = turns.clock(arguments.one_core)
  config = common.architecture(arguments)
  case = training.Case(
    arguments.size,
    arguments.batch_size,
    'float32',
    1,
    objective.RECURRENCES[0],
    False,
    1,
  )
  mesh = sharding.make_mesh()
  compiled, shapes = training.compile_step(config, case, mesh)
  layout = (
    torch.contiguous_format if arguments.contiguous else torch.channels_last
  )
  steps = {
    'jax': training.stepping(compiled, shapes, config, case, mesh),
    'torch': torch_stepping(config, case, layout),
  }
  if arguments.compile:
    steps['torch_compile'] = torch_stepping(config, case, layout, compiled=True)
  seconds = {name: [] for name in steps}
  for _ in range(arguments.steps):
    for name, once in steps.items():
      seconds[name].append(turns.timed(once, clock))
  # The first step settles.
  medians = {name: statistics.median(s[1:]) for name, s in seconds.items()}
  print(
    json.dumps(
      output.flags(arguments)
      | output.device()
      | {'torch': torch.__version__}
      | {
        f'{name}_examples_per_s': round(arguments.batch_size / median, 3)
        for name, median in medians.items()
      }
      | {
        f'{name}_over_jax': round(median / medians['jax'], 3)
        for name, median in medians.items()
        if name != 'jax'
      },
      default=str,
    )
  )


if __name__ == '__main__':
  main()
