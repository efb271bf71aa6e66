"""Descriptions of absent GPUs, as the compiler needs them.

XLA's compiler for GPUs needs no GPU, but a description of one, and JAX's plugin
for CUDA, of the version of jaxlib.
"""

import dataclasses
import importlib.util
import os

import jax
from jax.experimental import topologies


@dataclasses.dataclass(frozen=True)
class Card:
  """The published figures of a card, and its generation's limits.

  Attributes:
    name: as the card tells it.
    memory_gib: that it has.
    capability: NVIDIA's number of the generation.
    cores: multiprocessors.
    lanes: float32 units of each.
    clock_ghz: the boost clock.
    bytes_per_s: of its memory.
    cache_mib: second level.
    threads: that a core holds.
    shared_kib: memory of a core, and what a block may have of it.
  """

  name: str
  memory_gib: int
  capability: tuple[int, int]
  cores: int
  lanes: int
  clock_ghz: float
  bytes_per_s: float
  cache_mib: float
  threads: int
  shared_kib: tuple[int, int]


# The cards of 11 GB (the paper's is the first), and one of 12 GB that computes
# bfloat16. NVIDIA's data sheets, and the CUDA guide's table of capabilities.
CARDS = {
  'gtx_1080_ti': Card(
    'NVIDIA GeForce GTX 1080 Ti', 11, (6, 1), 28, 128, 1.582, 484e9, 2.75,
    2048, (96, 48),
  ),
  'rtx_2080_ti': Card(
    'NVIDIA GeForce RTX 2080 Ti', 11, (7, 5), 68, 64, 1.545, 616e9, 5.5,
    1024, (64, 64),
  ),
  'rtx_3060': Card(
    'NVIDIA GeForce RTX 3060', 12, (8, 6), 28, 128, 1.777, 360e9, 3.0,
    1536, (100, 99),
  ),
}  # fmt: skip


def _target(card: Card) -> str:
  """Returns the compiler's description of a card: a GpuTargetConfigProto."""
  major, minor = card.capability
  of_core, of_block = card.shared_kib
  return f"""
gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {of_core * 1024}
  shared_memory_per_block_optin: {of_block * 1024}
  threads_per_core_limit: {card.threads}
  core_count: {card.cores}
  fpus_per_core: {card.lanes}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: {card.bytes_per_s:.0f}
  l2_cache_size: {card.cache_mib * 2**20:.0f}
  clock_rate_ghz: {card.clock_ghz}
  device_memory_size: {card.memory_gib * 2**30}
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 8 }}
runtime_version {{ major: 12 minor: 9 }}
device_description_str: "{card.name}"
"""


def devices(name: str) -> list[jax.Device]:
  """Returns a card, to compile for.

  Args:
    name: one of `CARDS`.

  Raises:
    NotImplementedError: no compiler for GPUs here.
  """
  if importlib.util.find_spec('jax_cuda12_plugin') is None:
    raise NotImplementedError('the compiler for GPUs is not installed')
  # The plugin would look for CUDA's libraries, which only a GPU needs.
  os.environ.setdefault('JAX_SKIP_CUDA_CONSTRAINTS_CHECK', '1')
  return topologies.get_topology_desc(
    '', 'cuda', topology='1x1x1', target_config=_target(CARDS[name])
  ).devices
