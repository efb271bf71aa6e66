"""Decides by name which photos are held out of training.

The generated validation clips (synthetic/rival_clips.py) use only these photos,
and training excludes exactly these, so a score on the clips measures how well
the network follows objects it has never seen. The rule depends only on the
name: it does not change when folders are added, removed or reordered.
"""

import zlib

# One photo in this many is held out.
HELD_OUT_ONE_IN = 25


def is_held_out(name: str) -> bool:
  """Whether training must exclude this photo.

  name: 'FOLDER/STEM', the record's name that stills.load gives: the name of
    the folder that was loaded (not its path), a slash and the file's name
    without its ending.
  """
  return (
    zlib.crc32(name.encode('utf-8', 'surrogateescape')) % HELD_OUT_ONE_IN == 0
  )
