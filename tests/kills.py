r"""Kills the program segment again and again, and compares what it made.

  python -m tests.kills --chains=10 [--seed=0]

A chain is a video of 130 frames that is segmented with what the program draws,
killed at random moments by random signals, also while it joins a film, each
time gone on with by --resume, and then left to finish. What is in the folder
must be, byte for byte, what a run without interruption makes, and the program
must know all of it as its own.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import av
import numpy as np

from savos_jax import network
from savos_jax.datasets import masks
from savos_jax.foundation import manifests
from savos_jax.video import progress
from tests import tiny_resnets

REPOSITORY = pathlib.Path(__file__).parents[1]
_FRAMES, _SIZE = 130, (32, 48)
# What is made besides the masks, in one chain after the other.
FLAGS = (
  ('--cutout=png', '--format', 'coco', 'csv'),
  ('--cutout=green',),
  ('--cutout=prores',),
  ('--cutout=webm',),
)
_FILMS = ('.mp4', '.mov', '.webm')
_SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
# They tell how it was made, not what.
_UNCOMPARED = (progress.FILE, manifests.FILE, '.savos_jax.lock')


@dataclasses.dataclass
class Chain:
  """What came of a chain.

  Attributes:
    flags: what was made.
    kills: signal and number of masks at each kill.
    joining: how many of them came while a film was being joined.
    problems: what is wrong; nothing, it should be.
  """

  flags: tuple[str, ...]
  kills: list[str] = dataclasses.field(default_factory=list)
  joining: int = 0
  problems: list[str] = dataclasses.field(default_factory=list)


def make_inputs(folder: pathlib.Path) -> None:
  """Writes a video with sound, its first mask and a small network."""
  rng = np.random.default_rng(0)
  background = rng.integers(0, 60, (*_SIZE, 3), np.uint8)
  with av.open(str(folder / 'clip.mp4'), 'w') as container:
    stream = container.add_stream('libx264', rate=25)
    stream.height, stream.width = _SIZE
    stream.pix_fmt = 'yuv420p'
    sound = container.add_stream('aac', rate=8000)
    for index in range(_FRAMES):
      frame = background.copy()
      frame[8:20, 4 + index // 6 : 18 + index // 6] = (220, 40, 40)
      shown = av.VideoFrame.from_ndarray(frame, format='rgb24')
      container.mux(stream.encode(shown))
    container.mux(stream.encode(None))
    for index in range(_FRAMES * 8000 // 25 // 1024):
      noise = rng.uniform(-0.1, 0.1, (1, 1024)).astype(np.float32)
      heard = av.AudioFrame.from_ndarray(noise, 'fltp', 'mono')
      heard.sample_rate, heard.pts = 8000, 1024 * index
      container.mux(sound.encode(heard))
    container.mux(sound.encode(None))
  labels = np.zeros(_SIZE, np.uint8)
  labels[8:20, 4:18] = 1
  masks.write_mask(folder / 'first.png', labels)
  trained = network.Trained(
    tiny_resnets.MODEL, tiny_resnets.drawn_params(), 7, False, {}
  )
  network.write(folder / 'savos.safetensors', trained)


def _start(inputs: pathlib.Path, out: pathlib.Path, *flags: str):
  """Starts the program; what it prints goes to a file beside the results."""
  command = [
    sys.executable, '-m', 'savos_jax.tools.segment',
    f'--video={inputs / "clip.mp4"}', f'--mask={inputs / "first.png"}',
    f'--checkpoint={inputs / "savos.safetensors"}', f'--out={out}', *flags,
  ]  # fmt: skip
  # Started in the background, this process ignores Ctrl-C, and so would that.
  signal.signal(signal.SIGINT, signal.default_int_handler)
  with out.with_suffix('.txt').open('w') as printed:
    return subprocess.Popen(
      command,
      cwd=REPOSITORY,
      env=os.environ | {'JAX_PLATFORMS': 'cpu'},
      stdout=printed,
      stderr=subprocess.STDOUT,
      start_new_session=True,
    )


def _count(out: pathlib.Path) -> int:
  return len(list((out / 'masks').glob('*.png')))


def _joining(out: pathlib.Path) -> set[pathlib.Path]:
  """Returns films that are being joined; their parts have a folder."""
  return {path for path in out.glob('.*.part.*') if path.suffix in _FILMS}


def _moment(
  rng: random.Random, out: pathlib.Path, seconds: float, left: int
) -> Callable[[], bool]:
  """Draws when to kill.

  Args:
    rng: draws.
    out: the results.
    seconds: that a run takes.
    left: kills of the chain, this one included: the last ones come while films
      are joined, that before them at the last mask, the others at masks to come
      or at any time.
  """
  done = _count(out)
  if left <= 2:
    left_behind = _joining(out)  # By a run that was killed while it joined.
    return lambda: bool(_joining(out) - left_behind)
  if left > 3 and rng.random() < 0.3:
    end = time.monotonic() + rng.uniform(0.1, 0.7) * seconds
    return lambda: time.monotonic() > end or _count(out) == _FRAMES
  wanted = _FRAMES
  if left > 3:
    wanted = done + 1 + rng.randrange(max(1, (_FRAMES - done) // left))
  return lambda: _count(out) >= wanted


def files_in(folder: pathlib.Path) -> dict[str, bytes]:
  """Returns the content of all files that are compared, and of folders b''."""
  return {
    str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b''
    for path in sorted(folder.rglob('*'))
    if path.name not in _UNCOMPARED
  }


def compare(whole: pathlib.Path, out: pathlib.Path) -> list[str]:
  """Returns what differs, and what the program does not know as its own."""
  expected, found = files_in(whole), files_in(out)
  different = [
    f'{name} differs'
    for name in sorted(expected.keys() | found.keys())
    if expected.get(name) != found.get(name)
  ]
  manifest = manifests.Manifest(out)
  foreign = [
    f'{name} is not in the manifest'
    for name in found
    if (out / name).is_file() and not manifest.owns(out / name)
  ]
  return different + foreign


def run_chain(
  inputs: pathlib.Path,
  whole: pathlib.Path,
  out: pathlib.Path,
  flags: Sequence[str],
  seconds: float,
  kills: int,
  seed: int,
) -> Chain:
  """Runs a chain.

  Args:
    inputs: of `make_inputs`.
    whole: what a run without interruption has made.
    out: gets the results.
    flags: what is made.
    seconds: that a run takes.
    kills: so many at most: a run may come to its end before.
    seed: of moments and signals.
  """
  rng, chain = random.Random(seed), Chain(tuple(flags))
  status, resume = None, ()
  while status != 0 and not chain.problems:
    process = _start(inputs, out, *flags, *resume)
    left = kills - len(chain.kills)
    moment, resume = _moment(rng, out, seconds, left), ('--resume',)
    if left:
      while process.poll() is None and not moment():
        time.sleep(0.0005)
    if left and process.poll() is None:
      chosen = rng.choice(_SIGNALS)
      chain.joining += left <= 2
      process.send_signal(chosen)
      chain.kills.append(f'{chosen.name} at {_count(out)}')
    status = process.wait()
    printed = out.with_suffix('.txt').read_text()
    # Python that has only begun to start ends with words of its own.
    early = 'KeyboardInterrupt' in printed and 'savos_jax' not in printed
    if status not in (0, 130, *(-s for s in _SIGNALS)) and not early:
      chain.problems.append(f'status {status}: {printed[-500:]}')
  chain.problems += compare(whole, out)
  return chain


def undisturbed(inputs, out: pathlib.Path, flags: Sequence[str]) -> float:
  """Segments without interruption; returns how long it took, seconds."""
  began = time.monotonic()
  if _start(inputs, out, *flags).wait():
    raise RuntimeError(out.with_suffix('.txt').read_text())
  return time.monotonic() - began


def main() -> None:
  """Reads the flags, runs the chains, and prints what came of each."""
  parser = argparse.ArgumentParser(
    prog='python -m tests.kills',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--chains', type=int, default=10)
  parser.add_argument('--kills', type=int, default=6, help='a chain, at most')
  parser.add_argument('--seed', type=int, default=0, help='of the moments')
  arguments = parser.parse_args()
  failed, seconds = 0, {}
  with tempfile.TemporaryDirectory(prefix='savos_jax_') as name:
    folder = pathlib.Path(name)
    os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0')
    os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(folder / 'compiled'))
    make_inputs(folder)
    for number in range(arguments.chains):
      flags = FLAGS[number % len(FLAGS)]
      whole = folder / f'whole{number % len(FLAGS)}'
      if flags not in seconds:
        seconds[flags] = undisturbed(folder, whole, flags)
      chain = run_chain(
        folder, whole, folder / f'chain{number}', flags, seconds[flags],
        arguments.kills, arguments.seed + number,
      )  # fmt: skip
      failed += bool(chain.problems)
      print(
        f'{" ".join(flags)}: {len(chain.kills)} kills ({chain.joining} while '
        f'joining): {", ".join(chain.kills)}: '
        + ('; '.join(chain.problems) or 'the same, byte for byte'),
        flush=True,
      )
  sys.exit(bool(failed))


if __name__ == '__main__':
  main()
