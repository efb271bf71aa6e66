"""Makes the folder that one uploads to a model hub.

  python launch/hub_folder.py --out=dist/hub

It holds the shipped network, its model card as README.md with the training
curves that it links to, the licence, and config.json: the architecture and the
settings of the training, as the network's file states them. Files that this
program did not write, or that were changed since, are not replaced: it names
them and stops.
"""

import argparse
from collections.abc import Iterator
from collections.abc import Sequence
import json
import pathlib
import re

from savos_jax import checkpoints
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.tools import command
from savos_jax.weights import tensor_file

_ROOT = pathlib.Path(__file__).resolve().parents[1]
# [text](target) whose target is a path: neither an address nor an anchor.
_LINK = re.compile(r'\[([^\]]*)\]\((?![a-z]+:|#)([^)#]+)(?:#[^)]*)?\)')


def portable(card: str, above: pathlib.Path) -> tuple[str, list[pathlib.Path]]:
  """Makes a card's links work outside the repository.

  Args:
    card: Markdown.
    above: the folder that its links start from.

  Returns:
    The card, whose links to folders lead to a copy beside it and whose links to
    files are their text alone; and the folders to copy.

  Raises:
    SavosError: a link leads nowhere.
  """
  folders: list[pathlib.Path] = []

  def replaced(link: re.Match) -> str:
    text, target = link.groups()
    path = (above / target).resolve()
    if not path.exists():
      raise errors.SavosError(
        f'{above / "README.md"}: links to {target}, which does not exist.\n'
        '  Expected links to files and folders of the repository.'
      )
    if not path.is_dir():
      return text
    folders.append(path)
    return f'[{text}]({path.name}/)'

  return _LINK.sub(replaced, card), folders


def contents(network: pathlib.Path) -> Iterator[tuple[str, bytes]]:
  """Yields the name and the bytes of each file of the folder.

  Args:
    network: the file of the shipped network; its card is README.md beside it.

  Raises:
    SavosError: a file is missing or damaged.
  """
  path = network.with_name('README.md')
  card, folders = portable(files.read_text(path), path.parent)
  _, description = tensor_file.read_description(network)
  yield 'README.md', card.encode()
  yield 'config.json', json.dumps(description, indent=2).encode() + b'\n'
  yield 'LICENSE', (_ROOT / 'LICENSE').read_bytes()
  for folder in folders:
    for each in sorted(folder.iterdir()):
      yield f'{folder.name}/{each.name}', each.read_bytes()
  yield network.name, network.read_bytes()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
    '--out',
    type=command.path,
    required=True,
    metavar='FOLDER',
    help='the folder to fill; what an earlier run wrote there is replaced',
  )
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
  """Fills the folder and says how to upload it.

  Raises:
    SavosError: something that the user can put right.
  """
  out = arguments.out
  made = dict(contents(checkpoints.find(checkpoints.DEFAULT)))
  with files.claimed(out, [_ROOT / 'savos_jax', _ROOT / 'docs']) as manifest:
    paths = [out / name for name in made]
    manifest.check(paths)
    manifest.remove(path for path in manifest.written() if path not in paths)
    for name, data in made.items():
      with files.replacing(out / name) as partial:
        partial.write_bytes(data)
  size = sum(map(len, made.values())) / 1e6
  print(
    f'{out}: {len(made)} files, {size:.1f} MB\n'
    'To upload it to Hugging Face, for example:\n'
    f"  hf upload OWNER/savos {out} . --exclude '.savos_jax*'"
  )


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
