r"""Exports a network to formats that other programs run.

  python -m savos_jax.tools.export --format=onnx --out=savos_onnx

writes savos_onnx/: two functions, reference.onnx (called once for each object)
and step.onnx (for each frame), their weights, and savos.json, which says how to
use them. savos_jax itself runs such a folder without JAX:

  python -m savos_jax.tools.segment --checkpoint=savos_onnx --video=clip.mp4 \
      --mask=first.png --out=result

Formats:
{formats}
"""

import argparse
from collections.abc import Sequence
import importlib
import pathlib
import re

from savos_jax import checkpoints
from savos_jax.tools import command

# Name -> module of savos_jax.exporting, and a description.
_FORMATS = {
  'onnx': ('onnx_folder', 'ONNX Runtime, in any language'),
  'web': ('web', 'a page that segments in the browser; DIR/serve.py serves it'),
  'stablehlo': (
    'stablehlo',
    'XLA and other compilers; windows and labels included',
  ),
  'tflite': ('tflite', 'phones; needs --size and --objects'),
}
_MOST_OBJECTS = 254
_SIZE = re.compile(r'([1-9]\d{0,4})x([1-9]\d{0,4})')


def _size(text: str) -> tuple[int, int] | None:
  """Reads HxW, or any."""
  if text == 'any':
    return None
  match = _SIZE.fullmatch(text)
  if not match:
    raise argparse.ArgumentTypeError(
      f'{text!r}: expected height and width in pixels, as 256x448, or any'
    )
  return int(match[1]), int(match[2])


def _objects(text: str) -> int | None:
  """Reads a number, or any."""
  if text == 'any':
    return None
  if not re.fullmatch(r'[1-9]\d{0,2}', text) or int(text) > _MOST_OBJECTS:
    raise argparse.ArgumentTypeError(
      f'{text!r}: expected a number from 1 to {_MOST_OBJECTS}, or any'
    )
  return int(text)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  formats = '\n'.join(
    f'  {name:10}{does}' for name, (_, does) in _FORMATS.items()
  )
  parser = command.parser('export', __doc__.format(formats=formats))
  add = parser.add_argument
  add('--format', choices=_FORMATS, default='onnx', help='default: onnx')
  add(
    '--out',
    type=command.path,
    required=True,
    metavar='DIR',
    help='the folder that gets the files',
  )
  add(
    '--checkpoint',
    type=command.path,
    default=checkpoints.DEFAULT,
    help='the network: a file of savos_jax.tools.export_checkpoint, or a '
    "training's --workdir; default: the network that is shipped",
  )
  add(
    '--size',
    type=_size,
    metavar='HxW',
    help='fixed height and width of the frames or windows that the network '
    'sees (stablehlo: of the video); default: any',
  )
  add(
    '--objects',
    type=_objects,
    metavar='N',
    help='fixed number of objects that are segmented at once; default: any',
  )
  add(
    '--dtype',
    choices=('float32', 'float16', 'int8'),
    default='float32',
    help='of the stored weights; float16 halves the file and is converted to '
    'float32 for computation; int8 (onnx) also computes in 8 bits, and needs '
    '--calibrate; default: float32',
  )
  add(
    '--calibrate',
    type=command.path,
    metavar='DAVIS',
    help='for int8: folder of DAVIS, whose training frames calibrate the '
    'convolutions',
  )
  add(
    '--npm',
    type=command.path,
    metavar='DIR',
    help='for a page without the net: the folder in which "npm pack" put the '
    'libraries that it needs; default: they are fetched from npm, and kept',
  )
  arguments = parser.parse_args(argv)
  if arguments.dtype == 'int8' and arguments.format != 'onnx':
    parser.error('--dtype=int8 is of ONNX. Expected --format=onnx with it')
  return arguments


def run(arguments: argparse.Namespace) -> None:
  """Exports the network and compares it with the original.

  Raises:
    SavosError: no such network, or it can't be exported.
  """
  from savos_jax import network
  from savos_jax.exporting import choices
  from savos_jax.foundation import files

  module = importlib.import_module(
    f'savos_jax.exporting.{_FORMATS[arguments.format][0]}'
  )
  trained = network.load(arguments.checkpoint)
  chosen = choices.Choices(
    arguments.dtype,
    arguments.objects,
    arguments.size,
    arguments.npm,
    arguments.calibrate,
  )
  module.check(trained, chosen)
  inputs = filter(None, (arguments.checkpoint, arguments.calibrate))
  with files.claimed(arguments.out, inputs) as manifest:
    manifest.check(arguments.out / name for name in module.FILES)
    manifest.clear()  # What this export has not.
    module.write(arguments.out, trained, chosen)
  sizes: dict[pathlib.Path, int] = {}
  for name in module.FILES:  # Those in a folder together.
    path = arguments.out / pathlib.Path(name).parts[0]
    if not path.exists():  # Weights that are inside the graphs.
      continue
    size = (arguments.out / name).stat().st_size
    sizes[path] = sizes.get(path, 0) + size
  for path, size in sizes.items():
    print(f'{size / 1e6:8.2f} MB  {path}')
  print(f'beside JAX: {module.measure(arguments.out, trained, chosen)}')


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
