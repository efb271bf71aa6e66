"""Segments a list of videos, on this machine or on a Ray cluster."""

import argparse
import pathlib

from savos_jax.foundation import storage
from savos_jax.tools import command
from savos_jax.tools import flags
from savos_jax.video import jobs

_HERE = ''  # Lets Ray find a cluster by itself.


def place(text: str) -> str | pathlib.Path:
  """Parses a URL, which stays a string, or a path on the command line.

  Raises:
    argparse.ArgumentTypeError: as `command.path`.
  """
  return text if storage.is_url(text) else command.path(text)


def add_flags(parser: argparse.ArgumentParser) -> None:
  """Adds the flags for a list."""
  add = parser.add_argument
  add(
    '--list', metavar='FILE',
    help='segment many videos, each to its own folder in --out: a CSV file '
    'with the columns video and mask, and any flags of a single video '
    "(several values are separated by ';'; paths are relative to the file); or "
    'a pattern of video files: the mask of clip.mp4 is clip.png, clip_mask.png '
    'or the folder clip beside it. summary.csv in --out lists the outcomes; '
    'the exit status is 2 if one failed, 3 if one is incomplete',
  )  # fmt: skip
  flags.add_flag(
    parser, 'jobs', jobs.RULE, default=None, metavar='N',
    help='segment so many videos of the list at once, each in a process with '
    'its own cores; default: as many as there are cores, videos, and memory '
    'for; 1 on an accelerator, whose memory the processes would have to share, '
    'and where the system cannot bind processes to cores (macOS)',
  )  # fmt: skip
  add(
    '--ray', nargs='?', const=_HERE, metavar='ADDRESS',
    help='segment the list on a Ray cluster, one task per video; without an '
    'address, on the cluster that Ray finds, or a new one on this machine',
  )  # fmt: skip


def check(
  parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> None:
  """Refuses flags that do not apply to a list."""
  if arguments.video or arguments.mask:
    parser.error('--list: it names videos and masks: leave --video, --mask out')
  if arguments.jobs is not None and arguments.ray is not None:
    parser.error('--jobs: of this machine; with --ray, the cluster decides')
  if not arguments.out:
    parser.error('--out is missing. Expected a folder or URL for the results')


def check_one(
  parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> None:
  """Refuses flags that only apply to a list."""
  of_list = arguments.ray, arguments.jobs
  if of_list != (None, None) or isinstance(arguments.out, str):
    parser.error('--ray, --jobs, and a URL as --out, need --list')
