"""The control groups of this process: the limits of containers and clusters."""

import pathlib

_ROOT = pathlib.Path('/sys/fs/cgroup')
_OWN = pathlib.Path('/proc/self/cgroup')


def folders(
  own: pathlib.Path = _OWN, root: pathlib.Path = _ROOT
) -> list[pathlib.Path]:
  """Returns the folders of this process' groups, the innermost first.

  Of version 2 of the system's interface; of version 1 nothing is known.

  Args:
    own: names the group, as the system tells it.
    root: of all groups.
  """
  try:
    lines = own.read_text('utf-8').splitlines()
  except OSError:
    return []
  names = [line[3:].strip('/') for line in lines if line.startswith('0::')]
  if not names:
    return []
  # A container may be told a name outside of what it sees.
  inside = pathlib.PurePath(*(p for p in names[0].split('/') if p != '..'))
  folder = root / inside
  return [
    folder,
    *(f for f in folder.parents if f == root or root in f.parents),
  ]
