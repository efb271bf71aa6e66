"""Reads the collectives and cycles of a compiled program from its text."""

import collections
import math
import re

_WIDTHS = {'f32': 4, 's32': 4, 'u32': 4, 'bf16': 2, 'f16': 2, 'pred': 1}
_COLLECTIVES = (
  'all-reduce', 'all-gather', 'reduce-scatter', 'all-to-all',
  'collective-permute',
)  # fmt: skip


def collectives(text: str) -> dict[str, tuple[int, int]]:
  """Counts the collectives of a program, and the bytes that they move.

  Args:
    text: the compiled program's, in HLO.

  Returns:
    Kind -> (number, bytes of the results on one chip).
  """
  found: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
  # An asynchronous one is a start and an end: the start counts. Its shape
  # names operands and results.
  pattern = rf'= (\(.*?\)|\S+) ({"|".join(_COLLECTIVES)})(-start)?\('
  text = re.sub(r'/\*.*?\*/', '', text)
  for shapes, kind, start in re.findall(pattern, text):
    parts = re.findall(r'(\w+)\[([\d,]*)\]', shapes)
    if start and len(parts) > 1:
      parts = parts[: len(parts) // 2]
    found[kind][0] += 1
    found[kind][1] += sum(
      _WIDTHS.get(dtype, 0) * math.prod(map(int, filter(None, dims.split(','))))
      for dtype, dims in parts
    )
  return {kind: (number, size) for kind, (number, size) in found.items()}


def cycles(text: str) -> int | None:
  """Adds up the cycles that the TPU compiler estimates.

  One instruction after the other, as a core runs them; copies and collectives
  have no estimate, and count as none.

  Args:
    text: the compiled program's, in HLO.

  Returns:
    Cycles of one chip; None where the compiler estimates none, or where the
    program has loops: it does not tell how often they run.
  """
  # What an instruction calls is estimated where it is called.
  entry = re.search(r'^ENTRY .*?^}', text, re.MULTILINE | re.DOTALL)
  if not entry or ' while(' in entry[0]:
    return None
  estimates = re.findall(r'"estimated_cycles":"(\d+)"', entry[0])
  return sum(map(int, estimates)) or None
