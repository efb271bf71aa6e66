"""Which photos training never sees: generated clips are made of them.

The name alone decides, so any copy of the data is divided alike.
"""

import zlib

_ONE_OF = 25


def is_held_out(name: str) -> bool:
  """Tells whether a photo is for validation.

  Args:
    name: 'FOLDER/STEM', as `stills.load` names its records.

  Returns:
    True for one of 25.
  """
  return zlib.crc32(name.encode()) % _ONE_OF == 0
