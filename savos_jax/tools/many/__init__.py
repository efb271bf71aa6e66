"""Many videos: a list of them, on this machine or on a Ray cluster."""

import argparse
import pathlib

from savos_jax.foundation import storage
from savos_jax.tools import command

_HERE = ''  # The address of the cluster that Ray finds by itself.


def place(text: str) -> str | pathlib.Path:
  """Reads a URL, which stays a text, or a path of the command line.

  Raises:
    argparse.ArgumentTypeError: as `command.path`.
  """
  return text if storage.is_url(text) else command.path(text)


def add_flags(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of a list."""
  add = parser.add_argument
  add(
    '--list', metavar='FILE',
    help='segments many videos, each into a folder in --out: a CSV file with '
    'the columns video and mask and further flags of one video (several '
    "values: a ';' between them; paths from its folder on); or a pattern of "
    'video files: the mask of clip.mp4 is clip.png, clip_mask.png or the '
    'folder clip beside it. summary.csv in --out tells of each; ends with '
    'status 2 if one failed, 3 if one is incomplete',
  )  # fmt: skip
  add(
    '--ray', nargs='?', const=_HERE, metavar='ADDRESS',
    help='segments a list on a Ray cluster, a video a task; without an address '
    'on the one that Ray finds, else on one that it starts here',
  )  # fmt: skip


def check(
  parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> None:
  """Refuses what does not go with a list."""
  if arguments.video or arguments.mask:
    parser.error('--list: it names videos and masks: leave --video, --mask out')
  if not arguments.out:
    parser.error(
      '--out is missing. Expected a folder for the results, or a URL'
    )


def check_one(
  parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> None:
  """Refuses what goes with a list alone."""
  if arguments.ray is not None or isinstance(arguments.out, str):
    parser.error('--ray, and a URL as --out: expected with --list')
