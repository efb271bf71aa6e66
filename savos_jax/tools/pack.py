r"""Packs training data into one file that is small enough to transfer.

  python -m savos_jax.tools.pack --davis=DAVIS --year=2016 \
      --stills FOLDER... --out=train.pack --max_mb=55

Frames and photos are shrunk to fit the size and encoded as JPEG or WebP, masks
as PNG. Photos reserved for generated clips (savos_jax.tools.rival_clips) are
left out, so that these clips can be used for validation. `--part=1/2
--out=one.pack` and `--part=2/2 --out=two.pack` split the data.

Training reads packs instead of folders: --config.data.packs="('a.pack',)".
"""

import argparse
from collections.abc import Sequence
import time

from savos_jax.datasets import training_images
from savos_jax.foundation import errors
from savos_jax.tools import command

_QUALITY = 85


def _pair(text: str, separator: str) -> tuple[int, int]:
  try:
    a, b = (int(part) for part in text.split(separator))
  except ValueError:
    a = b = 0
  if min(a, b) < 1:
    raise argparse.ArgumentTypeError(
      f'{text!r}; expected two numbers, such as 320{separator}448'
    )
  return a, b


def _part(text: str) -> tuple[int, int]:
  number, count = _pair(text, '/')
  if number > count:
    raise argparse.ArgumentTypeError(f'{text!r}; expected for example 1/2')
  return number, count


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('pack', __doc__)
  add = parser.add_argument
  add(
    '--davis', type=command.path, metavar='FOLDER',
    help='root of DAVIS, with JPEGImages, Annotations and ImageSets',
  )  # fmt: skip
  add(
    '--year', default='2017', choices=('2016', '2017'),
    help='year of the image list; 2016 merges all objects (default 2017)',
  )  # fmt: skip
  add('--split', default='train', help='image list (default train)')
  add(
    '--stills', type=command.path, nargs='+', default=[], metavar='FOLDER',
    help='folders of photos with images/ and masks/',
  )  # fmt: skip
  add(
    '--with_held_out', action='store_true',
    help='include the photos reserved for generated clips',
  )  # fmt: skip
  add(
    '--size', type=lambda text: _pair(text, 'x'), default=training_images.BOX,
    metavar='SHORTxLONG',
    help='largest shorter and longer side, pixels (default {}x{}, as in '
    'training); nothing is enlarged'.format(
      *training_images.BOX
    ),
  )  # fmt: skip
  add(
    '--every', type=int, default=1, metavar='N',
    help='keep every N-th frame of a video (default 1: all)',
  )  # fmt: skip
  add(
    '--codec', default='jpeg', choices=training_images.CODECS, help='of images'
  )
  add(
    '--quality', type=int, metavar='1..100',
    help='quality of the images (default 85, or what --max_mb allows)',
  )  # fmt: skip
  add(
    '--max_mb', type=float, metavar='MB',
    help='largest size of the file, in 10^6 bytes; determines the quality',
  )  # fmt: skip
  add(
    '--part', type=_part, default=(1, 1), metavar='I/N',
    help='only the I-th of N parts of similar size',
  )  # fmt: skip
  add(
    '--out', type=command.path, required=True, metavar='FILE', help='the pack'
  )
  arguments = parser.parse_args(argv)
  if not (arguments.davis or arguments.stills):
    parser.error('nothing to pack: expected --davis, --stills, or both')
  if arguments.every < 1:
    parser.error(f'--every is {arguments.every}; expected at least 1')
  if arguments.quality is not None and not 1 <= arguments.quality <= 100:
    parser.error(f'--quality is {arguments.quality}; expected 1..100')
  if arguments.max_mb is not None and not arguments.max_mb > 0:
    parser.error(f'--max_mb is {arguments.max_mb:g}; expected more than 0')
  if arguments.max_mb is not None and arguments.quality is not None:
    parser.error('--max_mb determines the quality: give one or the other')
  return arguments


def _write(records, arguments: argparse.Namespace) -> tuple[int, int]:
  """Returns the quality and the number of bytes."""
  from savos_jax.datasets import pack

  common = arguments.out, records, arguments.size, arguments.codec
  if arguments.max_mb:
    max_bytes = round(arguments.max_mb * 1e6)
    return pack.write_within(*common, max_bytes, arguments.every)
  quality = arguments.quality or _QUALITY
  return quality, pack.write(*common, quality, arguments.every)


def run(arguments: argparse.Namespace) -> None:
  """Packs, and prints a summary.

  Raises:
    SavosError: something that the user can put right.
  """
  from savos_jax.datasets import davis
  from savos_jax.datasets import held_out_photos
  from savos_jax.datasets import pack
  from savos_jax.datasets import stills

  begun = time.monotonic()
  command.check_outputs([arguments.out], [arguments.davis, *arguments.stills])
  records = []
  if arguments.davis:
    videos = davis.load(
      arguments.davis, arguments.split, arguments.year, '480p'
    )
    records += [video.annotated_part() for video in videos]
  for folder in arguments.stills:
    records += [
      photo
      for photo in stills.load(folder)
      if arguments.with_held_out or not held_out_photos.is_held_out(photo.name)
    ]
  number, count = arguments.part
  if len(records) < count:
    raise errors.SavosError(
      f'{len(records)} videos and photos, for {count} part(s).\n  Expected at '
      'least one per part: photos reserved for generated clips are left out '
      'without --with_held_out.'
    )
  records = pack.parts(records, count)[number - 1]
  quality, size = _write(records, arguments)
  videos = [record for record in records if len(record) > 1]
  frames = sum(len(range(0, len(v), arguments.every)) for v in videos)
  print(
    f'{arguments.out}: {len(videos)} videos of {frames} frames, '
    f'{len(records) - len(videos)} photos, {arguments.codec} quality {quality},'
    f' {size / 1e6:.1f} MB, in {time.monotonic() - begun:.0f} s'
  )


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
