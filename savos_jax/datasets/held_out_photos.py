"""Which photos no training may see, decided by their names alone.

The generated validation clips (data/rival_clips.py) are made of these photos
only, and training leaves out exactly these, so that a score on the clips
says how well objects are followed that the network never met.  The rule
depends on nothing but the name: it stays the same when folders are added,
left out or listed in another order.
"""

import zlib

# One photo in this many is held out.
HELD_OUT_ONE_IN = 25


def is_held_out(name: str) -> bool:
  """Whether training must leave this photo out.

  name: 'FOLDER/STEM', the record's name that stills.load gives: the name of
    the folder that was loaded (not its path), a slash and the file's name
    without its ending.
  """
  return (
    zlib.crc32(name.encode('utf-8', 'surrogateescape')) % HELD_OUT_ONE_IN == 0
  )
