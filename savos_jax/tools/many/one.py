"""One video of a list: its failure is reported and does not stop the others."""

import argparse
from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import json
import logging
import pathlib
import tempfile
import time
from typing import Any

from savos_jax.foundation import allocation
from savos_jax.foundation import errors
from savos_jax.foundation import names
from savos_jax.foundation import storage
from savos_jax.foundation import typed
from savos_jax.tools import networks
from savos_jax.tools import segmenting
from savos_jax.tools.many import outcomes
from savos_jax.tools.many import rows

logger = logging.getLogger(__name__)

# Marks complete results in a store: it is written last.
DONE_FILE = 'done.json'
_MOST = {'frames': 1e9, 'seconds': 1e9}
# Of the machine, the run and the place, not of what is made.
_ELSEWHERE = (
  'video', 'mask', 'out', 'list', 'jobs', 'ray', 'checkpoint', 'runtime',
  'resume', 'overwrite',
)  # fmt: skip


def prepare(network: networks.Network) -> networks.Network:
  """Prepares a process that was started to segment; returns its network."""
  allocation.keep()
  if network.runtime == 'jax':
    # It need not be there where ONNX Runtime runs the network.
    from savos_jax.foundation import compilation_cache

    compilation_cache.enable()
  return networks.on_device(network)


def held(arguments: argparse.Namespace) -> int:
  """Returns the number of finished masks; in a store, 0 until it is done."""
  out = arguments.out
  return 0 if storage.is_url(out) else segmenting.held(out)


def interrupted(
  arguments: argparse.Namespace, seconds: float = 0.0
) -> outcomes.Outcome:
  """Returns the outcome of a video that Ctrl-C interrupted."""
  return outcomes.Outcome(
    outcomes.INCOMPLETE, held(arguments), seconds, 'interrupted'
  )


def segment(
  arguments: argparse.Namespace, network: networks.Network, bar: segmenting.Bar
) -> outcomes.Outcome:
  """Segments a video.

  Args:
    arguments: of a row.
    network: the network.
    bar: progress bar.

  Returns:
    The outcome. Only Ctrl-C is raised.
  """
  began = time.monotonic()
  into = _into_store if storage.is_url(arguments.out) else _into_folder
  try:
    found = into(arguments, network, bar)
  except Exception as error:
    found = _failed(arguments, error)
  return dataclasses.replace(found, seconds=time.monotonic() - began)


def _failed(arguments, error: Exception) -> outcomes.Outcome:
  why = errors.explained(error)
  if why is None:  # A mistake of ours: whoever mends it needs the traceback.
    logger.error('%s: a mistake of ours', arguments.video, exc_info=error)
    why = f'{type(error).__name__}: {error}'
  return outcomes.Outcome(outcomes.FAILED, message=outcomes.one_line(why))


def _into_folder(arguments, network, bar) -> outcomes.Outcome:
  found = outcomes.Outcome(outcomes.DONE)
  try:
    with _at_hand(arguments) as local:
      segmenting.into_folder(local, lambda: network, bar)
  except errors.Incomplete as error:
    message = outcomes.one_line(error)
    found = outcomes.Outcome(outcomes.INCOMPLETE, message=message)
  except Exception as error:
    found = _failed(arguments, error)
  return dataclasses.replace(found, frames=segmenting.held(arguments.out))


@contextlib.contextmanager
def _at_hand(arguments) -> Iterator[argparse.Namespace]:
  """Yields arguments whose inputs are all local files."""
  if not any(map(storage.is_url, rows.inputs(arguments))):
    yield arguments
    return
  with tempfile.TemporaryDirectory(prefix='savos_jax_') as folder:
    copies = (pathlib.Path(folder, str(number)) for number in range(1 << 30))

    def local(path: str) -> str:
      if not storage.is_url(path):
        return path
      beside = next(copies)  # Several may have one name.
      beside.mkdir()
      return str(storage.fetch(path, beside))

    def local_mask(text: str) -> str:
      frame, path = rows.mask_path(text)
      return f'{frame}={local(path)}' if frame else local(path)

    video = local(str(arguments.video))
    given = [[local_mask(text) for text in group] for group in arguments.mask]
    yield _with(arguments, video=video, mask=given)


def _with(arguments, **changed) -> argparse.Namespace:
  return argparse.Namespace(**{**vars(arguments), **changed})


def _into_store(arguments, network, bar) -> outcomes.Outcome:
  """Segments to a temporary folder, and uploads it to the store when done."""
  url, asked = arguments.out, _asked(arguments, network)
  before = _read_done(url)
  if before and not (arguments.overwrite and not arguments.resume):
    if before.asked != asked:
      raise errors.SavosError(
        f'{url}: was made with other settings or from other files.\n  Expected '
        'another --out, or --overwrite.'
      )
    return before.outcome
  with tempfile.TemporaryDirectory(prefix='savos_jax_') as folder:
    out = pathlib.Path(folder, 'out')
    found = _into_folder(_with(arguments, out=out), network, bar)
    if found.status not in (outcomes.DONE, outcomes.INCOMPLETE):
      return found
    made = [str(p.relative_to(out)) for p in out.rglob('*') if p.is_file()]
    storage.remove(url, [DONE_FILE, *(before.files if before else ())])
    storage.put(out, made, url)
    told = {'asked': asked, 'files': made, 'outcome': vars(found)}
    storage.write(storage.join(url, DONE_FILE), json.dumps(told))
  return found


@dataclasses.dataclass(frozen=True)
class _Done:
  """The contents of `DONE_FILE`."""

  asked: str
  files: tuple[str, ...]
  outcome: outcomes.Outcome


def _read_done(url: str) -> _Done | None:
  text = storage.read(storage.join(url, DONE_FILE))
  if text is None:
    return None
  try:
    told: dict[str, Any] = typed.from_json(text)
    files = tuple(map(str, told['files']))
    if not all(map(names.is_name, '/'.join(files).split('/'))):
      raise ValueError('a file of another folder')
    outcome = typed.build(outcomes.Outcome, told['outcome'], _MOST)
    return _Done(str(told['asked']), files, outcome)
  except (KeyError, TypeError, ValueError) as error:
    raise errors.SavosError(
      f'{storage.join(url, DONE_FILE)}: damaged: {error}.\n  Remove it to '
      'segment the video again.'
    ) from None


def _asked(arguments, network) -> str:
  """Returns a fingerprint of everything that results depend on."""
  flags = {k: v for k, v in vars(arguments).items() if k not in _ELSEWHERE}
  files = [
    (storage.name(path), storage.version(path))
    for path in rows.inputs(arguments)
  ]
  frames = [rows.mask_path(t)[0] for g in arguments.mask or () for t in g]
  told = [flags, files, frames, network.checksum]
  text = json.dumps(told, sort_keys=True, default=repr)
  return hashlib.sha256(text.encode()).hexdigest()[:16]
